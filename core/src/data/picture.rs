//! People's own pictures, made like a data set's images.

use std::path::{Path, PathBuf};

use anyhow::Result;
use image::RgbImage;
use image::imageops::{self, FilterType};

use super::Facts;
use super::files::transform;
use super::folder::{self, LeftOut};

/// A picture as bytes `[C, H, W]`, as the images of a data set with these facts. First a photograph is
/// turned as its camera says; the flag says whether it was. For colour images of 224 pixels a side it is
/// cut as an image folder's are in evaluation. For others it is resized by its shorter side and cut in
/// the middle, and a grey one gets the zeros around it that Fashion-MNIST's have; a picture that has
/// their size already keeps its pixels.
///
/// # Errors
/// Names the file.
pub fn read(path: &Path, facts: &Facts) -> Result<(Vec<u8>, bool)> {
    let (picture, turned) = transform::read_turned(path)?;
    Ok((pixels(&picture, facts), turned))
}

fn pixels(picture: &RgbImage, facts: &Facts) -> Vec<u8> {
    let side = facts.side;
    let as_it_is = (picture.width(), picture.height()) == (side as u32, side as u32);
    if facts.channels == 3 && side == transform::SIDE {
        let mut bytes = vec![0; 3 * side * side];
        transform::evaluation(picture, &mut bytes);
        return bytes;
    }
    let border = if facts.channels == 1 && !as_it_is { GREY_BORDER } else { 0 };
    let inner = side.saturating_sub(2 * border).max(1);
    let square = square(picture, inner as u32);
    let grey = imageops::grayscale(&square);
    let mut bytes = vec![0; facts.channels * side * side];
    for (x, y, pixel) in square.enumerate_pixels() {
        let at = (y as usize + border) * side + x as usize + border;
        match facts.channels {
            1 => bytes[at] = grey.get_pixel(x, y).0[0],
            _ => (0..3).for_each(|c| bytes[c * side * side + at] = pixel.0[c]),
        }
    }
    bytes
}

/// Zeros on each side of a 28x28 image.
const GREY_BORDER: usize = 2;

/// The middle of the picture, with `side` pixels on its shorter side.
fn square(picture: &RgbImage, side: u32) -> RgbImage {
    let (width, height) = (picture.width(), picture.height());
    let shorter = width.min(height);
    let (left, top) = ((width - shorter) / 2, (height - shorter) / 2);
    let cut = imageops::crop_imm(picture, left, top, shorter, shorter);
    if shorter == side {
        return cut.to_image();
    }
    imageops::resize(&*cut, side, side, FilterType::Triangle)
}

/// The image files among `paths`, and in the folders among them at any depth, in order; and the files in
/// those folders that are no images by their extensions. Files that are named are all taken, hidden ones
/// too.
///
/// # Errors
/// A folder that cannot be listed.
pub fn find(paths: &[PathBuf]) -> Result<(Vec<PathBuf>, LeftOut)> {
    let (mut found, mut left_out) = (Vec::new(), LeftOut::default());
    for path in paths {
        if path.is_dir() {
            let mut inside = folder::below(path, None, &mut left_out)?;
            inside.sort();
            found.extend(inside);
        } else {
            found.push(path.clone());
        }
    }
    Ok((found, left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn linked_folders_are_searched_and_a_link_that_leads_back_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["photos", "elsewhere"] {
            std::fs::create_dir(at(name)).unwrap();
        }
        for name in ["photos/b.png", "elsewhere/a.jpg", "elsewhere/notes.txt"] {
            std::fs::write(at(name), []).unwrap();
        }
        std::os::unix::fs::symlink(at("elsewhere"), at("photos/2024")).unwrap();
        std::os::unix::fs::symlink(at("photos"), at("photos/again")).unwrap();
        let (found, _) = find(&[at("photos")]).unwrap();
        assert_eq!(found, [at("photos/2024/a.jpg"), at("photos/b.png")]);
        // What is named before the `..` lies in what is searched.
        std::fs::create_dir(at("photos/old")).unwrap();
        let (found, _) = find(&[at("photos/old/..")]).unwrap();
        assert_eq!(found, [at("photos/old/../2024/a.jpg"), at("photos/old/../b.png")]);
        // One that leads nowhere is found, so that reading it says so.
        std::os::unix::fs::symlink(at("gone.jpg"), at("photos/c.jpg")).unwrap();
        assert_eq!(find(&[at("photos")]).unwrap().0.last(), Some(&at("photos/c.jpg")));
    }

    fn facts(channels: usize, side: usize) -> Facts {
        let mut facts = super::super::Dataset::Synthetic.facts().unwrap();
        (facts.channels, facts.side) = (channels, side);
        facts
    }

    fn saved(folder: &Path, name: &str, picture: &RgbImage) -> PathBuf {
        let path = folder.join(name);
        picture.save(&path).unwrap();
        path
    }

    #[test]
    fn a_picture_of_the_right_size_keeps_its_bytes_and_a_wide_one_its_middle() {
        let folder = tempfile::tempdir().unwrap();
        let exact = RgbImage::from_fn(32, 32, |x, y| image::Rgb([x as u8, y as u8, 7]));
        let bytes = read(&saved(folder.path(), "a.png", &exact), &facts(3, 32)).unwrap().0;
        assert_eq!((bytes[5], bytes[1024 + 32 * 3], bytes[2048]), (5, 3, 7));
        let wide = RgbImage::from_fn(96, 32, |x, _| image::Rgb([x as u8, 0, 0]));
        let bytes = read(&saved(folder.path(), "b.png", &wide), &facts(3, 32)).unwrap().0;
        assert_eq!((bytes[0], bytes[31]), (32, 63));
    }

    #[test]
    fn a_grey_picture_gets_fashion_mnists_border() {
        let folder = tempfile::tempdir().unwrap();
        let white = RgbImage::from_pixel(280, 280, image::Rgb([255; 3]));
        let bytes = read(&saved(folder.path(), "a.png", &white), &facts(1, 32)).unwrap().0;
        let rows: Vec<u8> = bytes.chunks(32).map(|row| row[16]).collect();
        assert_eq!((rows[1], rows[2], rows[29], rows[30], bytes.len()), (0, 255, 255, 0, 1024));
    }

    #[test]
    fn pictures_are_found_in_folders_in_order_and_other_files_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["c.jpg", "b/a.PNG", "b/notes.txt", "d.webp", "._c.jpg", "b/.x.png"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let hidden = folder.path().join("._c.jpg");
        let paths = [folder.path().to_path_buf(), PathBuf::from("x.txt"), hidden];
        let (found, left_out) = find(&paths).unwrap();
        let names: Vec<_> =
            found.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["a.PNG", "c.jpg", "d.webp", "x.txt", "._c.jpg"]);
        let told = left_out.describe().unwrap();
        assert!(told.starts_with("1 file is left out (.txt: 1)"), "{told}");
    }
}

use super::*;
use crate::data::Augmentation;

/// Two classes of small images in `train/` and `val/`.
fn folder() -> tempfile::TempDir {
    tch::set_num_threads(1);
    let root = tempfile::tempdir().unwrap();
    for part in ["train", "val"] {
        for (class, colour) in [("blue", [0, 0, 200]), ("red", [200, 0, 0])] {
            let class = root.path().join(part).join(class);
            std::fs::create_dir_all(&class).unwrap();
            for (i, ending) in ["jpg", "png"].iter().enumerate() {
                let image = RgbImage::from_pixel(40 + i as u32, 30, image::Rgb(colour));
                image.save(class.join(format!("{i}.{ending}"))).unwrap();
            }
        }
    }
    root
}

fn message(root: &std::path::Path, split: Split) -> String {
    format!("{:#}", Files::open(root, split).unwrap_err())
}

#[test]
fn val_beside_test_is_told_as_not_read() {
    let root = folder();
    let told = |split| Files::open(root.path(), split).unwrap().left_out.describe();
    assert_eq!(told(Split::Test), None);
    std::fs::create_dir(root.path().join("test")).unwrap();
    for class in ["blue", "red"] {
        let [from, to] = ["val", "test"].map(|part| root.path().join(part).join(class));
        std::fs::create_dir(&to).unwrap();
        std::fs::copy(from.join("0.jpg"), to.join("0.jpg")).unwrap();
    }
    assert!(told(Split::Test).unwrap().contains("val is not read"));
    assert_eq!(told(Split::Train), None);
}

#[test]
fn images_are_read_by_class_and_name_ahead_of_time_or_not() {
    let root = folder();
    let files = Files::open(root.path(), Split::Test).unwrap();
    assert_eq!((files.len(), files.classes), (4, 2));
    assert_eq!(Vec::<i64>::try_from(&files.labels).unwrap(), [0, 0, 1, 1]);
    let now = files.pixels(&[3, 0], None).unwrap();
    files.prefetch(&[3, 0], None).unwrap();
    assert_eq!(files.pixels(&[3, 0], None).unwrap(), now);
    assert_eq!(now.size(), [2, 3, 224, 224]);
    let red = now.int64_value(&[0, 0, 100, 100]);
    let blue = now.int64_value(&[1, 2, 100, 100]);
    assert!(red.abs_diff(200) < 4 && blue.abs_diff(200) < 4, "{red} {blue}");
    let change = Some((Augmentation::default(), 1, 0));
    let trained = files.pixels(&[3, 0], change).unwrap();
    assert_eq!(files.pixels(&[3, 0], change).unwrap(), trained);
}

#[test]
fn an_empty_class_and_an_empty_file_are_named() {
    let root = folder();
    let class = root.path().join("val/green");
    std::fs::create_dir_all(&class).unwrap();
    assert!(message(root.path(), Split::Test).contains("val/green is a class that"));
    std::fs::create_dir_all(root.path().join("train/green")).unwrap();
    let text = message(root.path(), Split::Train);
    assert!(text.contains("train/green holds no image"), "{text}");
    for part in ["train", "val"] {
        std::fs::write(root.path().join(part).join("green/a.jpg"), "").unwrap();
    }
    let text = message(root.path(), Split::Test);
    assert!(text.contains("val/green/a.jpg is empty"), "{text}");
}

#[test]
fn a_broken_image_is_named_or_left_out_and_counted() {
    let root = folder();
    let path = root.path().join("val/red/0.jpg");
    let bytes = std::fs::read(&path).unwrap();
    for length in [20, bytes.len() - 2] {
        std::fs::write(&path, &bytes[..length]).unwrap();
        let files = Files::open(root.path(), Split::Test).unwrap();
        let text = format!("{:#}", files.pixels(&[0, 1, 2], None).unwrap_err());
        assert!(text.contains("val/red/0.jpg is not a whole"), "{text}");
    }
    let (files, broken) = Files::open_whole(root.path(), Split::Test).unwrap();
    assert_eq!((files.len(), &broken[0].path, broken.len()), (3, &path, 1));
    assert!(broken[0].reason.contains("val/red/0.jpg is not a whole"), "{broken:?}");
    let files = Files::open(root.path(), Split::Test).unwrap();
    assert!(files.check(&[0, 1, 3]).is_ok() && files.check(&[1, 2]).is_err());
    assert!(files.check(&[4]).is_err());
}

#[test]
fn nested_images_are_read_in_the_order_of_their_names_and_hidden_ones_are_not() {
    let root = folder();
    let flat = Files::open(root.path(), Split::Train).unwrap().digest().unwrap();
    let red = root.path().join("train/red");
    std::fs::create_dir_all(red.join("more/deep")).unwrap();
    std::fs::rename(red.join("0.jpg"), red.join("more/deep/0.jpg")).unwrap();
    std::os::unix::fs::symlink("..", red.join("more/circle")).unwrap();
    // To all classes: the images of the others are not of this one.
    std::os::unix::fs::symlink("../..", red.join("more/all")).unwrap();
    for hidden in [".git", "red/.thumbnails"] {
        let hidden = root.path().join("train").join(hidden);
        std::fs::create_dir_all(&hidden).unwrap();
        std::fs::copy(red.join("1.png"), hidden.join("1.png")).unwrap();
    }
    std::fs::copy(red.join("1.png"), red.join("._1.png")).unwrap();
    let nested = Files::open(root.path(), Split::Train).unwrap();
    assert_eq!((nested.len(), nested.classes), (4, 2));
    assert_eq!(nested.digest().unwrap(), flat);
    assert_eq!(nested.left_out.describe(), None);
    assert_eq!(crate::data::folder::training_images(root.path()).unwrap(), 4);
}

#[test]
fn webp_images_are_read_and_files_of_other_kinds_are_counted() {
    let root = folder();
    let red = root.path().join("train/red");
    std::fs::write(red.join("2.WebP"), include_bytes!("fixtures/tiny.webp")).unwrap();
    for other in ["red/a.gif", "red/b.gif", "blue/notes", "list.txt"] {
        std::fs::write(root.path().join("train").join(other), "x").unwrap();
    }
    std::os::unix::fs::symlink("/dev/zero", red.join("endless.jpg")).unwrap();
    let files = Files::open(root.path(), Split::Train).unwrap();
    assert_eq!(files.len(), 5);
    assert_eq!(files.pixels(&[4], None).unwrap().size(), [1, 3, 224, 224]);
    let told = files.left_out.describe().unwrap();
    assert!(
        told.starts_with(
            "5 files are left out (.gif: 2, .txt: 1, no extension: 1, no regular file: 1)"
        ),
        "{told}"
    );
}

#[test]
fn a_class_whose_disk_is_gone_is_named() {
    let root = folder();
    let gone = root.path().join("train/violet");
    std::os::unix::fs::symlink("/not/there", &gone).unwrap();
    let text = message(root.path(), Split::Train);
    assert!(text.contains(&format!("{} cannot be read", gone.display())), "{text}");
}

#[test]
fn a_test_part_that_cannot_serve_is_named() {
    let root = folder();
    let val = root.path().join("val");
    std::fs::rename(val.join("red"), val.join("rot")).unwrap();
    assert!(message(root.path(), Split::Test).contains("val/rot is a class that train/ does not"));
    std::fs::remove_dir_all(val.join("rot")).unwrap();
    let text = message(root.path(), Split::Test);
    assert!(text.contains("val has no folder \"red\""), "{text}");
    std::fs::rename(val.join("blue/0.jpg"), val.join("0.jpg")).unwrap();
    std::fs::remove_dir_all(val.join("blue")).unwrap();
    let text = message(root.path(), Split::Test);
    assert!(text.contains("val holds 1 images and no folder"), "{text}");
    std::fs::rename(&val, root.path().join("valid")).unwrap();
    assert!(message(root.path(), Split::Test).contains("neither test/ nor val/"));
}

#[test]
fn a_test_part_without_classes_is_passed_over_for_one_with_them() {
    let root = folder();
    let test = root.path().join("test");
    std::fs::create_dir(&test).unwrap();
    std::fs::copy(root.path().join("val/red/0.jpg"), test.join("unlabelled.jpg")).unwrap();
    let files = Files::open(root.path(), Split::Test).unwrap();
    assert_eq!(files.len(), 4);
    let told = files.left_out.describe().unwrap();
    assert!(
        told.ends_with("test has no class of train/ and is not read. Test images come from val/")
    );
    let train = Files::open(root.path(), Split::Train).unwrap();
    assert_eq!(train.left_out.describe(), None);
    std::fs::remove_dir_all(root.path().join("val")).unwrap();
    assert!(message(root.path(), Split::Test).contains("expected one folder a class"));
}

#[test]
fn a_change_of_a_files_content_changes_the_digest() {
    let root = folder();
    let digest = || Files::open(root.path(), Split::Train).unwrap().digest().unwrap();
    let before = digest();
    assert_eq!(before, digest());
    let path = root.path().join("train/red/0.jpg");
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    assert_ne!(before, digest());
}

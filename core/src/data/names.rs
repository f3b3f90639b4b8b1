//! The names of classes, by label, as the data sets' own files have them; and the nearest of names.

/// Fashion-MNIST.
pub(super) const FASHION: &str = "\
    T-shirt/top, Trouser, Pullover, Dress, Coat, Sandal, Shirt, Sneaker, Bag, Ankle boot";

/// CIFAR-10.
pub(super) const CIFAR10: &str = "\
    airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck";

/// CIFAR-100, coarse.
pub(super) const CIFAR100_COARSE: &str = "\
    aquatic_mammals, fish, flowers, food_containers, fruit_and_vegetables, \
    household_electrical_devices, household_furniture, insects, large_carnivores, \
    large_man-made_outdoor_things, large_natural_outdoor_scenes, \
    large_omnivores_and_herbivores, medium_mammals, non-insect_invertebrates, people, reptiles, \
    small_mammals, trees, vehicles_1, vehicles_2";

/// CIFAR-100, fine.
pub(super) const CIFAR100_FINE: &str = "\
    apple, aquarium_fish, baby, bear, beaver, bed, bee, beetle, bicycle, bottle, bowl, boy, \
    bridge, bus, butterfly, camel, can, castle, caterpillar, cattle, chair, chimpanzee, clock, \
    cloud, cockroach, couch, crab, crocodile, cup, dinosaur, dolphin, elephant, flatfish, \
    forest, fox, girl, hamster, house, kangaroo, keyboard, lamp, lawn_mower, leopard, lion, \
    lizard, lobster, man, maple_tree, motorcycle, mountain, mouse, mushroom, oak_tree, orange, \
    orchid, otter, palm_tree, pear, pickup_truck, pine_tree, plain, plate, poppy, porcupine, \
    possum, rabbit, raccoon, ray, road, rocket, rose, sea, seal, shark, shrew, skunk, \
    skyscraper, snail, snake, spider, squirrel, streetcar, sunflower, sweet_pepper, table, \
    tank, telephone, television, tiger, tractor, train, trout, tulip, turtle, wardrobe, whale, \
    willow_tree, wolf, woman, worm";

/// The word most like `wrong`, or else the first that contains it, if there is any.
pub fn nearest<'a>(wrong: &str, right: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let right: Vec<&str> = right.collect();
    let likeness = right.iter().map(|word| (strsim::jaro_winkler(wrong, word), *word));
    let alike = likeness.filter(|(likeness, _)| *likeness > 0.7);
    let alike = alike.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word);
    let holds = |word: &&&str| wrong.len() > 2 && word.contains(wrong);
    alike.or_else(|| right.iter().find(holds).copied())
}

/// The end of a sentence that says there is no `wrong`: the [`nearest`] word, or nothing.
pub fn did_you_mean<'a>(wrong: &str, right: impl Iterator<Item = &'a str>) -> String {
    nearest(wrong, right).map_or(String::new(), |near| format!("; did you mean {near}?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_alike_or_holds_the_wrong_one() {
        let names = ["anytime-quick", "smoke"];
        assert_eq!(nearest("smok", names.into_iter()), Some("smoke"));
        assert_eq!(nearest("quick", names.into_iter()), Some("anytime-quick"));
        assert_eq!(nearest("xyz", names.into_iter()), None);
    }
}

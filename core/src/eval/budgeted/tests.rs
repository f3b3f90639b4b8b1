use proptest::prelude::*;

use super::*;

/// Two exits, three classes: logits such that exit 1 is sure of `sure[i]` and right or not.
fn small() -> (Predictions, Vec<u64>) {
    let logits = [
        // exit 1: sure and right, unsure and wrong, sure and wrong
        4., 0., 0., 1., 0., 0., 0., 0., 3., // exit 2: all right
        4., 0., 0., 0., 4., 0., 0., 4., 0.,
    ];
    (Predictions::numbered(2, 3, &[0, 1, 1], &logits), vec![100, 400])
}

fn swept(policy: Policy, ratios: &[f64]) -> Sweep {
    let (predictions, costs) = small();
    let network = Network { hold_out: &predictions, test: &predictions, multiply_adds: &costs };
    let mut setting = Setting { policy, ..Setting::paper() };
    setting.knobs.ratios = ratios.to_vec();
    sweep(&network, &setting).unwrap()
}

#[test]
fn the_ends_of_a_sweep_are_the_first_and_the_last_exit() {
    for policy in [Policy::MaxSoftmax, Policy::Margin, Policy::Entropy] {
        let points = swept(policy, &[1e-9, 1e9]).points;
        assert_eq!((points[0].multiply_adds, points[0].correct), (100.0, 1), "{policy}");
        assert_eq!((points[1].multiply_adds, points[1].correct), (400.0, 3), "{policy}");
        assert_eq!((&points[0].taken, &points[1].taken), (&vec![3, 0], &vec![0, 3]));
    }
}

#[test]
fn in_between_the_surest_images_leave_first() {
    // Shares of 2/3 and 1/3: two of three leave, the unsure one stays and is put right.
    let point = &swept(Policy::PAPER, &[0.5]).points[0];
    assert_eq!((point.taken.clone(), point.correct, point.multiply_adds), (vec![2, 1], 2, 200.0));
    assert_eq!(*point.hits, [true, true, false]);
}

#[test]
fn the_oracle_is_a_curve_from_the_first_right_exit_to_the_first_exit() {
    let points = swept(Policy::Oracle, &[0.5]).points;
    let told: Vec<_> = points.iter().map(|p| (p.taken.clone(), p.correct)).collect();
    // At 0 the wrong image waits for exit 2; above 400/300 that is not worth its cost.
    assert_eq!(told, vec![(vec![1, 2], 3), (vec![3, 0], 1)]);
    assert_eq!(points[0].ratio, Some(0.0));
}

#[test]
fn patience_of_one_never_waits_and_of_two_waits_for_agreement() {
    let points = swept(Policy::Patience, &[0.5]).points;
    let told: Vec<_> = points.iter().map(|p| (p.ratio, p.taken.clone())).collect();
    assert_eq!(told, vec![(Some(1.0), vec![3, 0]), (Some(2.0), vec![0, 3])]);
}

#[test]
fn splits_of_different_networks_are_refused() {
    let (predictions, costs) = small();
    let mut other = predictions.clone();
    (other.exits, other.classes) = (3, 2);
    let network = Network { hold_out: &other, test: &predictions, multiply_adds: &costs };
    let error = sweep(&network, &Setting::paper()).unwrap_err().to_string();
    assert!(error.contains("3 exits and 2 classes, the test split's 2 and 3"), "{error}");

    let network = Network { hold_out: &predictions, test: &predictions, multiply_adds: &[1, 2, 3] };
    let error = sweep(&network, &Setting::paper()).unwrap_err().to_string();
    assert!(error.contains("predictions of 2 exits, but costs of 3"), "{error}");
}

#[test]
fn a_hold_out_of_no_image_is_refused_with_the_reason() {
    let (predictions, costs) = small();
    let empty =
        Predictions { images: vec![], labels: vec![], logits: vec![], ..predictions.clone() };
    let network = Network { hold_out: &empty, test: &predictions, multiply_adds: &costs };
    let error = sweep(&network, &Setting::paper()).unwrap_err().to_string();
    assert!(error.contains("thresholds are chosen on images"), "{error}");
}

#[test]
fn policies_without_a_ratio_take_their_dearest_knob_within_a_budget() {
    let (predictions, costs) = small();
    let network = Network { hold_out: &predictions, test: &predictions, multiply_adds: &costs };
    let solved =
        |policy, budget| solve(&network, &Setting { policy, ..Setting::paper() }, budget).unwrap();
    assert_eq!(solved(Policy::Patience, 399.0), 1.0);
    assert_eq!(solved(Policy::Patience, 400.0), 2.0);
    // The price at which the sure image alone leaves early: 300 on average.
    let lambda = solved(Policy::CoordinateAscent, 300.0);
    let setting = Setting { policy: Policy::CoordinateAscent, ..Setting::paper() };
    let rule = rule(&predictions, &costs, &setting, lambda).unwrap();
    let answers = combine::plain(&predictions).unwrap();
    let point = leaving(&answers, &rule.gate.exits_of(&answers).unwrap(), &costs).unwrap();
    assert!(point.multiply_adds <= 300.0, "{}", point.multiply_adds);
    let oracle = Setting { policy: Policy::Oracle, ..Setting::paper() };
    assert!(solve(&network, &oracle, 300.0).is_err());
}

#[test]
fn every_policy_and_every_way_to_combine_exits_gives_a_curve() {
    let (predictions, costs) = small();
    let network = Network { hold_out: &predictions, test: &predictions, multiply_adds: &costs };
    for policy in Policy::ALL {
        for combine in Combine::ALL {
            let setting = Setting { policy, combine, ..Setting::paper() };
            let found = sweep(&network, &setting);
            if policy == Policy::Patience && combine != Combine::Single {
                assert!(found.unwrap_err().to_string().contains("cannot be combined"));
                continue;
            }
            let knobs = (policy.form().values)(&setting.knobs, &costs);
            let points = found.unwrap().points;
            let ratios: Vec<f64> = points.iter().filter_map(|point| point.ratio).collect();
            assert_eq!(ratios, knobs, "{policy}, {combine}");
        }
    }
}

#[test]
fn a_budget_just_short_of_the_last_exit_is_solved_with_many_exits_too() {
    let exits = 12;
    let logits = (0..exits * 50).flat_map(|i| [(i * 37 % 101) as f32 / 50.0, 0.0]);
    let predictions = Predictions::numbered(exits, 2, &[0; 50], &logits.collect::<Vec<_>>());
    let costs = costs_of(exits);
    let network = Network { hold_out: &predictions, test: &predictions, multiply_adds: &costs };
    let last = costs[exits - 1] as f64;
    let ratio = |budget| solve(&network, &Setting::paper(), budget);
    assert!(ratio(last - 1.0).unwrap() > ratio(last / 2.0).unwrap());
    assert_eq!(ratio(last).unwrap(), f64::INFINITY);
    assert!(ratio(99.0).is_err());
}

/// Answers of K exits on N images, without equal confidences.
fn without_ties() -> impl Strategy<Value = Answers> {
    (2usize..6, 6usize..60, any::<u64>()).prop_map(|(exits, images, seed)| {
        let mut state = seed | 1;
        let mut draw = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1u64 << 53) as f64
        };
        let confidence = (0..exits).map(|_| (0..images).map(|_| draw()).collect()).collect();
        let predicted =
            (0..exits).map(|_| (0..images).map(|_| u32::from(draw() < 0.5)).collect()).collect();
        Answers { confidence, predicted, labels: vec![0; images] }
    })
}

fn costs_of(exits: usize) -> Vec<u64> {
    (1..=exits as u64).map(|k| 100 * k * k).collect()
}

proptest! {
    #[test]
    fn without_ties_the_hold_outs_mean_cost_grows_with_the_ratio(answers in without_ties()) {
        let costs = costs_of(answers.exits());
        let hold_out = HoldOut::new(answers).unwrap();
        let spent = |&ratio: &f64| {
            at_ratio(&hold_out, hold_out.answers(), &costs, ratio).unwrap().multiply_adds
        };
        let spent: Vec<f64> = default_ratios().iter().map(spent).collect();
        prop_assert!(spent.is_sorted(), "{spent:?}");
    }

    #[test]
    fn without_ties_the_counts_are_the_shares_rounded_in_all(
        answers in without_ties(), ratio in 0.01f64..10.0,
    ) {
        let hold_out = HoldOut::new(answers).unwrap();
        let (exits, images) = (hold_out.answers().exits(), hold_out.answers().images());
        let thresholds = search(&hold_out, ratio).unwrap();
        let left = thresholds.exits_of(hold_out.answers()).unwrap();
        let shares = crate::eval::thresholds::shares(ratio, exits).unwrap();
        let mut cumulative = 0.0;
        for (k, share) in shares.into_iter().enumerate() {
            cumulative += share;
            let gone = left.iter().filter(|&&exit| exit <= k).count() as f64;
            prop_assert!((gone - cumulative * images as f64).abs() <= 0.5 + 1e-9);
        }
    }

    #[test]
    fn a_solved_ratio_keeps_within_the_budget_and_no_larger_one_does(
        answers in without_ties(), share in 0.0f64..1.0,
    ) {
        let costs = costs_of(answers.exits());
        let (first, last) = (costs[0] as f64, costs[costs.len() - 1] as f64);
        let budget = first + share * (last - first);
        let hold_out = HoldOut::new(answers).unwrap();
        let spent = |ratio: f64| {
            at_ratio(&hold_out, hold_out.answers(), &costs, ratio).unwrap().multiply_adds
        };
        let ratio = bisect(&hold_out, &costs, budget).unwrap();
        prop_assert!(spent(ratio) <= budget);
        // Near either end the next step may lie beyond the ratios that are looked at.
        prop_assert!(ratio > 1e5 || spent(ratio * (1.0 + 1e-6)) > budget);
    }
}

//! Early exit on a GPU: after each exit the images that stay go on as a smaller batch.

use anyhow::{Context, Result};
use tch::{Device, Kind, Tensor};

use super::Verdict;
use crate::eval::policy::Rule;
use crate::nn::{Mode, Network, Pass, Precision, Schedule, Weights};

/// Each image's verdict, for normalised images `[N, C, H, W]` where the weights are. One value is read back an exit:
/// how many images stay.
///
/// # Errors
/// When the rule is for another number of exits or is not the paper's policy with single exits, or
/// LibTorch fails.
pub fn early_exit_on_device(
    network: &Network,
    weights: &Weights,
    images: &Tensor,
    rule: &Rule,
) -> Result<Vec<Verdict>> {
    let exits = network.exits().len();
    rule.check(exits)?;
    let thresholds = rule.plain_thresholds().context(
        "on a GPU images leave by max-softmax with single exits alone; other policies run on the CPU",
    )?;
    let _no_grad = tch::no_grad_guard();
    let all: Vec<usize> = (0..exits).collect();
    let schedule = Schedule::new(network, &all);
    let (mode, precision) = (Mode::Evaluate, Precision::Fp32);
    let mut pass = Pass::new(network, &schedule, weights, images, mode, precision)?;
    let count = images.size()[0];
    let rows = Tensor::f_arange(count, (Kind::Int64, Device::Cpu))?;
    let mut rows = rows.f_to_device(weights.device())?;
    let mut left = Vec::with_capacity(exits);
    for exit in all {
        let logits = pass.advance()?.context("a pass ends with the last exit")?;
        let (confidence, class) = logits.f_softmax(-1, Kind::Double)?.f_max_dim(1, false)?;
        let stays = match thresholds.values.get(exit) {
            Some(&threshold) => confidence.f_le(threshold)?,
            None => confidence.f_lt(f64::NEG_INFINITY)?,
        };
        // Those that leave first, each part in its order.
        let order = stays.f_to_kind(Kind::Int8)?.f_argsort_stable(true, 0, false)?;
        let count = i64::try_from(&stays.f_sum(Kind::Int64)?)?;
        let leaving = order.f_narrow(0, 0, order.size()[0] - count)?;
        let staying = order.f_narrow(0, order.size()[0] - count, count)?;
        let picked = |tensor: &Tensor| tensor.f_index_select(0, &leaving);
        left.push((picked(&rows)?, picked(&class)?, picked(&confidence)?));
        if staying.numel() == 0 {
            break;
        }
        rows = rows.f_index_select(0, &staying)?;
        pass.keep(&staying)?;
    }
    gather(&left, count as usize)
}

/// Verdicts in the order of the images, from what left at each exit: places, classes, confidences.
fn gather(left: &[(Tensor, Tensor, Tensor)], count: usize) -> Result<Vec<Verdict>> {
    let mut verdicts = vec![Verdict { exit: 0, predicted: 0, confidence: f64::NAN }; count];
    for (exit, (rows, class, confidence)) in left.iter().enumerate() {
        let rows = Vec::<i64>::try_from(&rows.f_to_device(Device::Cpu)?)?;
        let class = Vec::<i64>::try_from(&class.f_to_device(Device::Cpu)?)?;
        let confidence = Vec::<f64>::try_from(&confidence.f_to_device(Device::Cpu)?)?;
        for ((row, class), confidence) in rows.into_iter().zip(class).zip(confidence) {
            anyhow::ensure!(
                confidence.is_finite(),
                "exit {} gives a number that is not finite: the weights are broken",
                exit + 1
            );
            verdicts[row as usize] = Verdict { exit, predicted: class as u32, confidence };
        }
    }
    Ok(verdicts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::probabilities::Certainty;
    use crate::eval::thresholds::Thresholds;
    use crate::models::{Input, NetworkConfig};
    use crate::nn::initialise;

    #[test]
    fn an_image_leaves_at_the_first_exit_that_is_sure_enough_and_says_what_that_exit_says() {
        tch::set_num_threads(1);
        tch::manual_seed(3);
        let config: NetworkConfig = serde_json::from_str(
            r#"{"resnet":{"blocks_per_stage":1,"channels":4,"exits_after":[1,2]}}"#,
        )
        .unwrap();
        let network = config.build(Input { channels: 3, side: 8, classes: 5 }).unwrap();
        let mut weights = initialise(&network, 0, Device::Cpu).unwrap();
        let images = Tensor::randn([12, 3, 8, 8], (Kind::Float, Device::Cpu));
        let _no_grad = tch::no_grad_guard();
        let all = network.forward(&mut weights, &images, Mode::Evaluate, Precision::Fp32).unwrap();
        let sure = |exit: usize, image: i64| {
            all[exit].get(image).softmax(-1, Kind::Double).max().double_value(&[])
        };
        let mut of_first: Vec<f64> = (0..12).map(|image| sure(0, image)).collect();
        of_first.sort_by(f64::total_cmp);
        let thresholds = Thresholds::by_hand(vec![of_first[5], of_first[7]], 3).unwrap();
        let rule = Rule::plain(thresholds.clone(), &[1, 2, 3]);
        let found = early_exit_on_device(&network, &weights, &images, &rule).unwrap();
        for (image, found) in (0..).zip(found) {
            let exit = (0..3).find(|&exit| thresholds.leaves(exit, sure(exit, image))).unwrap();
            assert_eq!(found.exit, exit);
            let class = all[exit].get(image).argmax(-1, false).int64_value(&[]);
            assert_eq!(i64::from(found.predicted), class);
            assert!((found.confidence - sure(exit, image)).abs() < 1e-6);
        }
        let other = Rule { certainty: Certainty::Margin, ..rule };
        let refused = early_exit_on_device(&network, &weights, &images, &other);
        assert!(refused.unwrap_err().to_string().contains("other policies run on the CPU"));
    }
}

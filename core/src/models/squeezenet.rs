//! SqueezeNet (Iandola et al., arXiv 1602.07360): fire modules squeeze a map to few channels and
//! expand it again; the last convolution gives the classes.
//!
//! Forms 1.0 and 1.1 have torchvision's names, so that its pretrained weights fit; the form for
//! CIFAR has those of the public implementation (stem, fire2 to fire9, conv10).

use anyhow::{Context, Result, ensure};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use super::units::{conv_bn_relu, exit_after};
use super::{Input, check_exits_after};
use crate::nn::{Builder, Conv, Feature, Network};

/// Channels that fire modules 2 to 9 squeeze to and that each half of the expansion has (paper,
/// Table 1).
const FIRES: [(usize, usize); 8] =
    [(16, 64), (16, 64), (32, 128), (32, 128), (48, 192), (48, 192), (64, 256), (64, 256)];
/// The paper's number of the first fire module.
const FIRST: usize = 2;
/// Fire modules, by the paper's numbers, that a simple bypass goes round (paper, section 6).
const BYPASSED: [usize; 3] = [3, 5, 7];
/// Dropout before the last convolution.
const DROPOUT: f64 = 0.5;

/// Which SqueezeNet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub enum Form {
    /// The paper's.
    #[serde(rename = "1.0")]
    V1_0,
    /// The authors' cheaper one: a smaller first convolution, earlier pools.
    #[serde(rename = "1.1")]
    V1_1,
    /// For small images: batch normalisation, simple bypass.
    #[default]
    #[serde(rename = "cifar")]
    Cifar,
}

/// A SqueezeNet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Which one.
    #[serde(default)]
    pub form: Form,
    /// Fire modules, counted from 1, after which an intermediate classifier is attached.
    #[serde(default)]
    pub exits_after: Vec<usize>,
}

exits_by_list!(_config => FIRES.len(), "fire module");

/// The graph of a SqueezeNet.
///
/// # Errors
/// Returns an error naming the invalid key.
pub fn build(config: &Config, input: Input) -> Result<Network> {
    validate(config, input)?;
    let form = config.form;
    let (mut net, image) = Builder::new(input.channels, input.side);
    let mut x = stem(&mut net, form, image);
    net.map(x, 0);
    // Counts torchvision's entries: the first convolution, its ReLU, pools and fire modules.
    let mut entry = 2;
    for (number, fire) in (1..).zip(FIRES) {
        if form.pools_after().contains(&(number - 1)) {
            x = form.pool(&mut net, x);
            entry += 1;
        }
        x = match form {
            Form::Cifar => bypassed(&mut net, x, number + FIRST - 1, fire),
            _ => net.scope(format!("features.{entry}"), |net| fire_module(net, x, fire)),
        };
        entry += 1;
        net.map(x, number);
        exit_after(&mut net, &config.exits_after, number, x, input.classes);
    }
    let logits = classifier(&mut net, form, x, input.classes);
    net.exit(logits, FIRES.len());
    Ok(net.finish())
}

fn stem(net: &mut Builder, form: Form, image: Feature) -> Feature {
    let conv = form.first();
    if form == Form::Cifar {
        return net.scope("stem", |net| conv_bn_relu(net, image, conv));
    }
    let h = net.conv_as("features.0", image, conv);
    net.relu(h)
}

/// Squeeze; expand by 1x1 and by 3x3 convolutions side by side (paper, section 3.2).
fn fire_module(net: &mut Builder, x: Feature, (squeeze, expand): (usize, usize)) -> Feature {
    let mut unit = |name: &str, x: Feature, conv: Conv| {
        let h = net.conv_as(name, x, conv.biased());
        net.relu(h)
    };
    let h = unit("squeeze", x, Conv::pointwise(squeeze));
    let halves = [
        unit("expand1x1", h, Conv::pointwise(expand)),
        unit("expand3x3", h, Conv::three(expand, 1)),
    ];
    net.concat(&halves)
}

/// Fire module `number` of the form for CIFAR, and the bypass around some.
fn bypassed(
    net: &mut Builder,
    x: Feature,
    number: usize,
    (squeeze, expand): (usize, usize),
) -> Feature {
    let h = net.scope(format!("fire{number}"), |net| {
        let mut unit = |name: &str, x: Feature, conv: Conv| {
            net.scope(name, |net| conv_bn_relu(net, x, conv.biased()))
        };
        let h = unit("squeeze", x, Conv::pointwise(squeeze));
        let halves = [
            unit("expand_1x1", h, Conv::pointwise(expand)),
            unit("expand_3x3", h, Conv::three(expand, 1)),
        ];
        net.concat(&halves)
    });
    if BYPASSED.contains(&number) { net.add(h, x) } else { h }
}

/// A 1x1 convolution to the classes and the average of each map: no linear layer. torchvision has a
/// ReLU between them, so logits of forms 1.0 and 1.1 are never negative.
fn classifier(net: &mut Builder, form: Form, x: Feature, classes: usize) -> Feature {
    let conv = Conv::pointwise(classes).biased();
    let h = if form == Form::Cifar {
        net.conv_as("conv10", x, conv)
    } else {
        let h = net.dropout(x, DROPOUT);
        let h = net.conv_as("classifier.1", h, conv);
        net.relu(h)
    };
    net.global_avg_pool(h)
}

impl Form {
    fn first(self) -> Conv {
        let conv = match self {
            Form::V1_0 => Conv { kernel: 7, padding: 0, ..Conv::three(96, 2) },
            Form::V1_1 => Conv { padding: 0, ..Conv::three(64, 2) },
            Form::Cifar => Conv::three(96, 1),
        };
        conv.biased()
    }

    /// After how many fire modules a pool comes.
    fn pools_after(self) -> [usize; 3] {
        match self {
            Form::V1_0 | Form::Cifar => [0, 3, 7],
            Form::V1_1 => [0, 2, 4],
        }
    }

    fn pool(self, net: &mut Builder, x: Feature) -> Feature {
        match self {
            Form::V1_0 | Form::V1_1 => net.max_pool_ceil(x, 3, 2),
            Form::Cifar => net.max_pool(x, 2, 2, 0),
        }
    }

    /// Side of the map behind a pool; none where the window does not fit.
    fn pooled(self, side: usize) -> Option<usize> {
        match self {
            Form::V1_0 | Form::V1_1 => Some((side + 1).checked_sub(3)? / 2 + 1),
            Form::Cifar => (side >= 2).then_some(side / 2),
        }
    }

    /// Sides of the maps of the first convolution and of each fire module; none where one vanishes.
    fn sides(self, side: usize) -> Option<Vec<usize>> {
        let Conv { kernel, stride, padding, .. } = self.first();
        let mut side = (side + 2 * padding).checked_sub(kernel)? / stride + 1;
        let mut sides = vec![side];
        for number in 0..FIRES.len() {
            if self.pools_after().contains(&number) {
                side = self.pooled(side)?;
            }
            sides.push(side);
        }
        Some(sides)
    }
}

pub(super) fn short_name(config: &Config) -> String {
    let form = match config.form {
        Form::V1_0 => "1.0",
        Form::V1_1 => "1.1",
        Form::Cifar => "cifar",
    };
    format!("squeezenet-{form}-{}exits", config.exits_after.len() + 1)
}

fn validate(config: &Config, input: Input) -> Result<()> {
    if config.form.sides(input.side).is_none() {
        let fits = |&side: &usize| config.form.sides(side).is_some();
        let least = (1..).find(fits).context("form: no image is large enough")?;
        let hint = if config.form == Form::Cifar { "" } else { " (`form: cifar` takes smaller ones)" };
        ensure!(
            input.side >= least,
            "form: an image of {} pixels a side is too small, since maps vanish; at least {least} are needed{hint}",
            input.side
        );
    }
    check_exits_after(&config.exits_after, FIRES.len(), UNIT)
}

impl<'de> Deserialize<'de> for Form {
    /// `1.0` and `1.1` are taken without quotes as well.
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Form, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Form;
            fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
                f.write_str("form: \"1.0\", \"1.1\" or cifar")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Form, E> {
                match text {
                    "1.0" => Ok(Form::V1_0),
                    "1.1" => Ok(Form::V1_1),
                    "cifar" => Ok(Form::Cifar),
                    _ => Err(E::invalid_value(serde::de::Unexpected::Str(text), &self)),
                }
            }
            /// JSON writers may shorten 1.0 to 1.
            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Form, E> {
                self.visit_f64(number as f64)
            }
            fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<Form, E> {
                self.visit_str(&format!("{number:?}"))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl JsonSchema for Form {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Form".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "The paper's SqueezeNet, the authors' cheaper one, or the one for small images.",
            "enum": ["1.0", "1.1", "cifar", 1.0, 1.1],
        })
    }
}

/// A published network: form, multiply-adds at 224 pixels, parameters (of 1,000 classes), top-1
/// accuracy on ImageNet in percent (torchvision's weights).
pub const PUBLISHED: [(Form, u64, u64, f64); 2] =
    [(Form::V1_0, 818_924_576, 1_248_424, 58.1), (Form::V1_1, 349_151_936, 1_235_496, 58.2)];

#[cfg(test)]
mod tests {
    use super::*;

    fn network(form: Form, side: usize, exits_after: Vec<usize>) -> Result<Network> {
        build(&Config { form, exits_after }, Input { channels: 3, side, classes: 1000 })
    }

    #[test]
    fn published_sizes_are_counted_to_the_unit() {
        for (form, multiply_adds, parameters, _) in PUBLISHED {
            let cost = crate::cost::table(&network(form, 224, vec![]).unwrap())[0];
            assert_eq!((cost.multiply_adds, cost.parameters), (multiply_adds, parameters));
        }
    }

    #[test]
    fn a_form_is_read_with_and_without_quotes() {
        let read = |text: &str| serde_yaml::from_str::<Config>(text);
        for (text, form) in [
            ("form: 1.1", Form::V1_1),
            ("form: 1", Form::V1_0),
            ("form: \"1.1\"", Form::V1_1),
            ("form: 1.0", Form::V1_0),
            ("form: cifar", Form::Cifar),
            ("{}", Form::Cifar),
        ] {
            assert_eq!(read(text).unwrap().form, form, "{text}");
        }
        for text in ["form: 1.2", "form: 2", "form: squeeze", "form: [1.1]"] {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("\"1.0\", \"1.1\" or cifar"), "{error}");
        }
        let config = Config { form: Form::V1_1, exits_after: vec![] };
        let written = serde_yaml::to_string(&config).unwrap();
        assert_eq!(read(&written).unwrap(), config);
    }

    #[test]
    fn an_image_whose_maps_vanish_is_refused_with_the_least_side() {
        for (form, least) in [(Form::V1_0, 21), (Form::V1_1, 17), (Form::Cifar, 8)] {
            assert!(network(form, least, vec![]).is_ok(), "{form:?}");
            let error = network(form, least - 1, vec![]).unwrap_err().to_string();
            assert!(error.contains(&format!("at least {least} are needed")), "{error}");
        }
    }

    #[test]
    fn exits_lie_inside_the_8_fire_modules() {
        for exits_after in [vec![0], vec![8], vec![2, 1]] {
            let error = network(Form::Cifar, 32, exits_after).unwrap_err().to_string();
            assert!(error.starts_with("exits_after: "), "{error}");
        }
    }
}

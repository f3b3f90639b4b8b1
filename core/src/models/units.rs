//! Units that more than one family uses.

use crate::nn::{Builder, Conv, Feature};

/// Convolution, batch normalisation, ReLU.
pub fn conv_bn_relu(net: &mut Builder, x: Feature, conv: Conv) -> Feature {
    let h = net.conv(x, conv);
    let h = net.batch_norm(h);
    net.relu(h)
}

/// Batch normalisation, ReLU, convolution.
pub fn bn_relu_conv(net: &mut Builder, x: Feature, conv: Conv) -> Feature {
    let h = net.batch_norm(x);
    let h = net.relu(h);
    net.conv(h, conv)
}

/// Place of the classifier behind the layer or block of this number.
pub fn classifier_place(depth: usize) -> String {
    format!("classifier after {depth}")
}

/// An exit called `name` behind the layer or block of this number; `classifier` gives its logits.
pub fn exit_behind(
    net: &mut Builder,
    name: String,
    number: usize,
    classifier: impl FnOnce(&mut Builder) -> Feature,
) {
    let logits = net.at(name, classifier_place(number), classifier);
    net.exit(logits, number);
}

/// MSDNet's classifier: two strided 3x3 convolutions of `width` channels, average pooling, a
/// linear layer (paper, section 4, "Classifiers").
pub fn convolutional_classifier(
    net: &mut Builder,
    x: Feature,
    width: usize,
    classes: usize,
) -> Feature {
    let h = net.scope("m.0.net", |net| conv_bn_relu(net, x, Conv::three(width, 2)));
    let h = net.scope("m.1.net", |net| conv_bn_relu(net, h, Conv::three(width, 2)));
    let h = net.global_avg_pool(h);
    net.linear(h, classes, "linear")
}

/// Global average pooling and a linear layer.
pub fn pooled_classifier(net: &mut Builder, x: Feature, classes: usize) -> Feature {
    let h = net.global_avg_pool(x);
    net.linear(h, classes, "linear")
}

/// An intermediate classifier behind unit `number`, where `exits_after` asks for one.
pub fn exit_after(
    net: &mut Builder,
    exits_after: &[usize],
    number: usize,
    x: Feature,
    classes: usize,
) {
    if exits_after.contains(&number) {
        let logits = net.scope(format!("exits.{number}"), |net| pooled_classifier(net, x, classes));
        net.exit(logits, number);
    }
}

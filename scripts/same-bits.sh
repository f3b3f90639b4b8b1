#!/bin/bash
# Trains smoke (fp32) and three tiny networks in bf16 with two programs and compares checkpoints and logs byte for
# byte: a change that is not meant to change numbers must not. Some bits depend on the processor, so both run here.
# Usage: scripts/same-bits.sh OLD NEW
set -euo pipefail
[ $# = 2 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
old=$(realpath "$1") new=$(realpath "$2")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
cat > "$place/bf16.yaml" <<'YAML'
figure: anytime
dataset: synthetic
validation: 40
training_images: 80
seeds: [0]
training: { epochs: 2, batch_size: 20, learning_rate: 0.1, schedule: { cosine: {} }, precision: bf16, augmentation: { crop: 4, flip: true } }
networks:
  - name: MSDNet
    msdnet: { channels: 4, growth: 2, scale_growth: [1, 2, 4], bottleneck: [1, 2, 4], exits: 2, first_exit: 2, spacing: { even: 1 } }
  - name: ResNet
    resnet: { blocks_per_stage: 1, channels: 4, exits_after: [2], classifier: convolutional }
  - name: DenseNet
    densenet: { layers_per_block: 2, growth: 4, bottleneck: true, compression: 0.5, exits_after: [3] }
YAML
for which in old new; do
  mkdir "$place/$which"
  for experiment in smoke "$place/bf16.yaml"; do
    (cd "$place/$which" && "${!which}" anytime "$experiment" --device cpu --threads 1 -q > said 2>&1) ||
      { cat "$place/$which/said" >&2; exit 1; }
  done
done
digests() {
  (cd "$place/$1/runs" && find . -name checkpoint.safetensors -o -name train.csv | sort | xargs -r sha256sum)
}
digests old > "$place/old.sums"
digests new > "$place/new.sums"
[ -s "$place/old.sums" ] || { echo "nothing was trained" >&2; exit 1; }
if ! diff "$place/old.sums" "$place/new.sums" > "$place/difference"; then
  cat "$place/difference"
  echo "not the same bits (other folder names: the run or FORMAT has changed)"
  exit 1
fi
echo "the same bits: $(wc -l < "$place/old.sums") files"

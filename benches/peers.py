"""How fast ONNX Runtime and OpenVINO run a network that `repro export --format onnx` wrote.

Prints one JSON object a line: {"what", "threads", "value", "unit"}. Run by compare.py. Shapes are
static, one compiled model a batch size. ONNX Runtime has no bf16 arithmetic on CPU.
"""

import argparse
import json

import numpy

from clock import seconds_each

BATCHES = (1, 64, 256)


def onnxruntime_call(path, shape, threads, _precision):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_free_dimension_override_by_name("N", shape[0])
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    images = numpy.random.randn(*shape).astype(numpy.float32)
    return lambda: session.run(None, {"images": images})


def openvino_call(path, shape, threads, precision):
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    model.reshape(shape)
    hints = {
        "INFERENCE_PRECISION_HINT": {"fp32": "f32", "bf16": "bf16"}[precision],
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
    }
    request = core.compile_model(model, "CPU", hints).create_infer_request()
    request.set_input_tensor(openvino.Tensor(numpy.random.randn(*shape).astype(numpy.float32)))
    return request.infer


CALLS = {"onnxruntime": onnxruntime_call, "openvino": openvino_call}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("runtime", choices=CALLS)
    parser.add_argument("--all", required=True, help="ONNX model with every exit as an output")
    parser.add_argument("--first", required=True, help="ONNX model that ends at the first exit")
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--threads", default="1,2")
    parser.add_argument("--side", type=int, default=32, help="pixels a side of the images")
    parser.add_argument("--rounds", type=int, default=3, help="timings, of which the median is told")
    parser.add_argument("--seconds", type=float, default=0.7, help="least length of a round")
    options = parser.parse_args()
    cases = [("first/1", options.first, 1), *((f"all/{batch}", options.all, batch) for batch in BATCHES)]
    for threads in (int(n) for n in options.threads.split(",")):
        for what, path, batch in cases:
            shape = [batch, 3, options.side, options.side]
            call = CALLS[options.runtime](path, shape, threads, options.precision)
            value = batch / seconds_each(call, options.seconds, options.rounds)
            found = {"what": what, "precision": options.precision, "threads": threads, "value": value}
            print(json.dumps({**found, "unit": "images/s"}), flush=True)


if __name__ == "__main__":
    main()

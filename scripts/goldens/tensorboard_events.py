# Event files as TensorBoard's own protocol buffer classes encode them, and a check of ours by TensorBoard's reader.
# Made with: tensorboard==2.21.0 protobuf==7.36.2
#   python scripts/goldens/tensorboard_events.py Tests/Goldens/tensorboard_events.json   writes the goldens
#   python scripts/goldens/tensorboard_events.py --read RUN/logs                         prints what TensorBoard reads

import json
import struct
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import crc32c, masked_crc32c

Value, Metadata = summary_pb2.Summary.Value, summary_pb2.SummaryMetadata


def frame(payload):
    length = struct.pack("<Q", len(payload))
    return length + struct.pack("<I", masked_crc32c(length)) + payload + struct.pack("<I", masked_crc32c(payload))


def scalars(time, step, pairs):
    values = [Value(tag=tag, simple_value=value) for tag, value in pairs]
    return event_pb2.Event(wall_time=time, step=step, summary=summary_pb2.Summary(value=values))


def text(time, step, tag, markdown):
    shape = tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)])
    tensor = tensor_pb2.TensorProto(dtype=7, tensor_shape=shape, string_val=[markdown.encode()])
    metadata = Metadata(plugin_data=Metadata.PluginData(plugin_name="text"))
    value = Value(tag=tag, metadata=metadata, tensor=tensor)
    return event_pb2.Event(wall_time=time, step=step, summary=summary_pb2.Summary(value=[value]))


def goldens():
    session = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    events = {
        "version": event_pb2.Event(wall_time=1700000000.25, file_version="brain.Event:2"),
        "session": event_pb2.Event(wall_time=1700000001.5, step=41, session_log=session),
        "scalars": scalars(1700000002.0, 300, [("train/loss", 2.345678), ("train/learning_rate", 2e-4)]),
        "zero": scalars(1700000003.0, 0, [("train/loss", 0.0)]),
        "large": scalars(1700000004.0, 5_000_000_000, [("训练/loss", -1.5e30)]),
        "text": text(1700000005.0, 7, "samples/1", "**What is LoRA?**\n\nA | B — 低秩适配\n" + "x" * 200),
    }
    records = {name: frame(event.SerializeToString(deterministic=True)).hex() for name, event in events.items()}
    inputs = [b"", b"123456789", bytes(32), bytes(range(256))]
    return {"records": records, "crc32c": {data.hex(): crc32c(data) for data in inputs}}


if sys.argv[1] == "--read":
    accumulator = EventAccumulator(sys.argv[2], size_guidance={"tensors": 0, "scalars": 0})
    accumulator.Reload()
    for tag in accumulator.Tags()["scalars"]:
        print(tag, [(event.step, round(event.value, 6)) for event in accumulator.Scalars(tag)])
    for tag in accumulator.Tags()["tensors"]:
        print(tag, [(event.step, event.tensor_proto.string_val[0].decode()) for event in accumulator.Tensors(tag)])
else:
    with open(sys.argv[1], "w") as file:
        json.dump(goldens(), file, indent=1, sort_keys=True)
        file.write("\n")

"""PyTorch as a peer: reads a job (a JSON file), then does it once for every line `run` on standard input.

Nets become straight-line Python, one statement a layer, as a user would write them: that is what torch.compile wants.
"""

import json
import sys
import time

import numpy as np
import torch
import torch.nn.functional as F

with open(sys.argv[1]) as file:
    JOB = json.load(file)
OPTIONS = JOB["options"]
DEVICE = OPTIONS.get("device", "cpu")
HALF = OPTIONS.get("dtype") == "f16"
# Training keeps f32 parameters and computes in halves by autocast.
DTYPE = torch.float16 if HALF and JOB["kind"] == "inference" else torch.float32


def answer(**values):
    print(json.dumps(values), flush=True)


def read_weights(path):
    """safetensors: a length, a JSON header of byte ranges, the data."""
    raw = np.fromfile(path, dtype=np.uint8)
    length = int(raw[:8].view("<u8")[0])
    header = json.loads(raw[8 : 8 + length].tobytes())
    header.pop("__metadata__", None)
    data = raw[8 + length :]
    return {
        name: torch.from_numpy(data[slice(*entry["data_offsets"])].view("<f4").reshape(entry["shape"]).copy())
        for name, entry in header.items()
    }


OPS = {
    "conv": lambda a, x, w, b="None": f"F.conv2d({x}, {w}, {b}, {a['stride']}, {a['pad']})",
    "linear": lambda a, x, w, b="None": f"F.linear({x}.flatten(1), {w}.flatten(1), {b})[:, :, None, None]",
    "batch_norm": lambda a, x, w, b: f"F.batch_norm({x}, None, None, {w}, {b}, True, 0.1, {a['eps']})",
    "relu": lambda a, x: f"F.relu({x})",
    "lrelu": lambda a, x: f"F.leaky_relu({x}, {a['slope']})",
    "prelu": lambda a, x, w: f"F.prelu({x}, {w})",
    "softplus": lambda a, x: f"F.softplus({x})",
    "add": lambda a, x, y: f"{x} + {y}",
    "sub": lambda a, x, y: f"{x} - {y}",
    "mul": lambda a, x, y: f"{x} * {y}",
    "div": lambda a, x, y: f"{x} / {y}",
    "scale": lambda a, x: f"{x} * {a['by']}",
    "offset": lambda a, x: f"{x} + {a['by']}",
    "abs": lambda a, x: f"{x}.abs()",
    "square": lambda a, x: f"{x}.square()",
    "detach": lambda a, x: f"{x}.detach()",
    "concat": lambda a, *xs: f"torch.cat([{', '.join(xs)}], 1)",
    "pixel_shuffle": lambda a, x: f"F.pixel_shuffle({x}, {a['factor']})",
    "upsample_nearest": lambda a, x: f"F.interpolate({x}, scale_factor={a['factor']}, mode='nearest')",
    "max_pool": lambda a, x: f"F.max_pool2d({x}, {a['size']}, {a['stride']})",
    "reduce_mean": lambda a, x: f"{x}.mean()" if a["keep"] == "none" else f"{x}.mean((0, 2, 3))",
}
# Operands of rank 1 are per channel; beside an image they need its axes.
ELEMENTWISE = {"add", "sub", "mul", "div"}


def function_of(net):
    """net(inputs, params) as a Python function."""
    names = {ref: f"p[{param['name']!r}]" for param in net["params"] for ref in [param["ref"]]}
    ranks = {param["ref"]: len(param["shape"]) for param in net["params"]}
    names |= {ref: ref.replace("%", "x_") for ref in net["inputs"]}
    ranks |= {ref: 4 for ref in net["inputs"]}
    constants, lines = {}, []
    for layer in net["layers"]:
        ref, op, attrs = layer["ref"], layer["op"], layer["attrs"]
        names[ref], ranks[ref] = ref.replace("%", "v"), layer["rank"]
        if op == "constant":
            values = torch.tensor(attrs["values"], device=DEVICE, dtype=DTYPE)
            constants[names[ref]] = values if ranks[ref] else values.reshape(())
            continue
        if op not in OPS:
            raise SystemExit(f"no {op} in torch_peer.py")
        beside_image = op in ELEMENTWISE and ranks[ref] == 4
        operands = [
            f"{names[x]}[:, None, None]" if beside_image and ranks[x] == 1 else names[x] for x in layer["inputs"]
        ]
        lines.append(f"    {names[ref]} = {OPS[op](attrs, *operands)}")
    inputs = ", ".join(names[ref] for ref in net["inputs"])
    outputs = ", ".join(names[ref] for ref in net["outputs"])
    scope = {"torch": torch, "F": F, **constants}
    exec("\n".join([f"def net(p, {inputs}):", *lines, f"    return {outputs},"]), scope)
    return scope["net"]


def to_device(tensor):
    last = OPTIONS.get("channels_last", False) and tensor.ndim == 4
    return tensor.to(DEVICE, DTYPE, memory_format=torch.channels_last if last else torch.contiguous_format)


def images(name, shape):
    return torch.from_numpy(np.fromfile(JOB[name], dtype=np.float32).reshape(shape))


def synchronize():
    if DEVICE == "cuda":
        torch.cuda.synchronize()


def inference(weights):
    net = function_of(JOB["net"])
    if OPTIONS.get("compile"):
        net = torch.compile(net)
    params = {name: to_device(value) for name, value in weights.items()}
    image = images("x", JOB["shape"])

    def run():
        with torch.inference_mode():
            return {"image": net(params, to_device(image))[0].float().cpu()}

    return run


def training(weights):
    """Each player's loss and its gradients, as codes for GANs do it: the generator first, then the critic on its output."""
    net = function_of(JOB["generator"])
    losses = [function_of(player["net"]) for player in JOB["losses"]]
    if OPTIONS.get("compile"):
        net, losses = torch.compile(net), [torch.compile(loss) for loss in losses]
    half = HALF and DEVICE == "cuda"
    params = {name: to_device(value) for name, value in weights.items()}
    groups = [[params[name] for name in player["trains"]] for player in JOB["losses"]]
    adam = JOB["adam"]
    optimizers = [torch.optim.Adam(group, lr=adam["lr"], betas=tuple(adam["betas"]), eps=adam["eps"]) for group in groups]
    scalers = [torch.cuda.amp.GradScaler(enabled=half, init_scale=1024.0) for _ in groups]
    side = JOB["patch"] // 4
    batch = {
        "%lr": images("lr", [JOB["batch"], 3, side, side]),
        "%hr": images("hr", [JOB["batch"], 3, JOB["patch"], JOB["patch"]]),
    }

    def run():
        given = {name: value.to(DEVICE) for name, value in batch.items()}
        values = []
        for player, loss, group, scaler in zip(JOB["losses"], losses, groups, scalers):
            for param in group:
                param.requires_grad_(True)
            with torch.autocast("cuda", enabled=half):
                if "%sr" not in given:
                    (given["%sr"],) = net(params, given["%lr"])
                value = loss(params, *[given[ref] for ref in player["net"]["inputs"]])[0]
            for param, gradient in zip(group, torch.autograd.grad(scaler.scale(value), group)):
                param.grad = gradient
                param.requires_grad_(False)
            given["%sr"] = given["%sr"].detach()
            values.append(value)
        # Gradients of both players are of the parameters from before the step, as in `src`.
        for optimizer, scaler in zip(optimizers, scalers):
            scaler.step(optimizer)
            scaler.update()
        return {"losses": [value.item() for value in values]}

    return run


def main():
    if DEVICE == "cuda" and not torch.cuda.is_available():
        answer(missing="there is no CUDA device")
        return
    if OPTIONS.get("compile") and not hasattr(torch, "compile"):
        answer(missing=f"PyTorch {torch.__version__} has no torch.compile")
        return
    if "threads" in OPTIONS:
        torch.set_num_threads(OPTIONS["threads"])
    torch.backends.cuda.matmul.allow_tf32 = OPTIONS.get("tf32", False)
    torch.backends.cudnn.allow_tf32 = OPTIONS.get("tf32", False)
    torch.backends.cudnn.benchmark = True
    run = {"inference": inference, "train": training}[JOB["kind"]](read_weights(JOB["weights"]))
    where = torch.cuda.get_device_name() if DEVICE == "cuda" else f"CPU, {torch.get_num_threads()} threads"
    answer(version=f"PyTorch {torch.__version__} ({where})")
    made = None
    for line in sys.stdin:
        if line.strip() == "run":
            synchronize()
            began = time.perf_counter()
            made = run()
            synchronize()
            ms = 1000 * (time.perf_counter() - began)
            answer(ms=ms, **({"losses": made["losses"]} if "losses" in made else {}))
        else:
            made["image"].contiguous().numpy().tofile(JOB["output"])
            answer(done=True)


main()

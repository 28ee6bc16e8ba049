"""The networks of bench:real-data in plain PyTorch, with points where int8 would round: names as the ONNX files have them."""

import math

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from real_data_quantise import Points
from torch import nn
from torch.nn import functional as F
from train_models import Named


class Conv(nn.Conv2d):
    def forward(self, x):
        return self._conv_forward(x, self.points.weight(self.weight, 0), self.bias)


class Linear(nn.Linear):
    def forward(self, x):
        return F.linear(x, self.points.weight(self.weight, 0), self.bias)


class Table(nn.Embedding):
    """The table of words: one scale for all of it."""

    def forward(self, ids):
        return F.embedding(ids, self.points.weight(self.weight, None))


class Network(nn.Module):
    """Something whose layers share their points."""

    def __init__(self):
        super().__init__()
        self.points = Points()

    def ready(self):
        for module in self.modules():
            module.points = self.points
        return self


class Block(nn.Module):
    """Two 3x3 convolutions around a shortcut: zeros for new channels (option A), or a 1x1 convolution (option B)."""

    def __init__(self, name: str, planes_in: int, planes: int, stride: int, shortcut: str):
        super().__init__()
        self.name = name
        self.conv1 = Conv(planes_in, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.conv2 = Conv(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.added = planes - planes_in
        self.downsample = None
        if self.added > 0 and shortcut == "convolution":
            self.downsample = nn.Sequential(Conv(planes_in, planes, 1, stride, bias=False), nn.BatchNorm2d(planes))

    def forward(self, x):
        point = self.points
        y = point(f"{self.name}.relu1", F.relu(self.bn1(self.conv1(x))))
        y = point(f"{self.name}.bn2", self.bn2(self.conv2(y)))
        if self.downsample is not None:
            x = point(f"{self.name}.downsample", self.downsample(x))
        elif self.added > 0:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.added // 2, self.added - self.added // 2))
        return point(f"{self.name}.out", F.relu(y + x))


class CifarResNet(Network):
    """The ResNet for CIFAR of 6n + 2 layers (He et al., CVPR 2016)."""

    PLANES = (16, 32, 64)

    def __init__(self, blocks: int, shortcut: str, head: str):
        super().__init__()
        self.blocks, self.head = blocks, head
        self.conv1 = Conv(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        planes_in = 16
        for stage, planes in enumerate(self.PLANES):
            layer = []
            for i in range(blocks):
                stride = 2 if stage > 0 and i == 0 else 1
                layer.append(Block(f"layer{stage + 1}.{i}", planes_in, planes, stride, shortcut))
                planes_in = planes
            setattr(self, f"layer{stage + 1}", nn.Sequential(*layer))
        setattr(self, head, Linear(planes_in, 10))
        self.ready()

    def forward(self, input):
        x = self.points("input", input)
        x = self.points("relu1", F.relu(self.bn1(self.conv1(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return getattr(self, self.head)(self.points("gap", x.mean((2, 3))))

    def fold(self):
        """Puts every BatchNorm, as in inference, into the convolution before it."""
        pairs = [(self, "conv1", "bn1")]
        for stage in (self.layer1, self.layer2, self.layer3):
            for block in stage:
                pairs += [(block, "conv1", "bn1"), (block, "conv2", "bn2")]
                if block.downsample is not None:
                    pairs.append((block.downsample, "0", "1"))
        for owner, conv_name, norm_name in pairs:
            conv, norm = getattr(owner, conv_name), getattr(owner, norm_name)
            factor = norm.weight.data / torch.sqrt(norm.running_var + norm.eps)
            conv.weight.data *= factor[:, None, None, None]
            conv.bias = nn.Parameter(norm.bias.data - norm.running_mean * factor)
            setattr(owner, norm_name, nn.Identity())
        return self


class BertLayer(nn.Module):
    def __init__(self, name: str, hidden: int, heads: int, intermediate: int):
        super().__init__()
        self.name, self.heads = name, heads
        self.attention = Named(
            self=Named(query=Linear(hidden, hidden), key=Linear(hidden, hidden), value=Linear(hidden, hidden)),
            output=Named(dense=Linear(hidden, hidden), LayerNorm=nn.LayerNorm(hidden, eps=1e-12)),
        )
        self.intermediate = Named(dense=Linear(hidden, intermediate))
        self.output = Named(dense=Linear(intermediate, hidden), LayerNorm=nn.LayerNorm(hidden, eps=1e-12))

    def forward(self, x, bias):
        point, name = self.points, self.name
        n, length, hidden = x.shape
        own = getattr(self.attention, "self")

        def split(y):
            return y.view(n, length, self.heads, hidden // self.heads).transpose(1, 2)

        # What is multiplied is rounded; what is added is not.
        rounded = point(f"{name}.input", x)
        query = point(f"{name}.query", split(own.query(rounded)))
        key = point(f"{name}.key", split(own.key(rounded)))
        value = point(f"{name}.value", split(own.value(rounded)))
        scores = query @ key.transpose(2, 3) / math.sqrt(hidden // self.heads) + bias
        context = point(f"{name}.shares", scores.softmax(-1)) @ value
        context = point(f"{name}.context", context).transpose(1, 2).reshape(n, length, hidden)
        x = self.attention.output.LayerNorm(self.attention.output.dense(context) + x)
        inner = point(f"{name}.intermediate", F.gelu(self.intermediate.dense(point(f"{name}.attention", x))))
        return self.output.LayerNorm(self.output.dense(inner) + x)


class Bert(Network):
    """BertForSequenceClassification without dropout."""

    def __init__(self, layers: int, hidden: int, heads: int, intermediate: int, vocabulary: int, positions: int):
        super().__init__()
        self.layers, self.heads = layers, heads
        embeddings = Named(
            word_embeddings=Table(vocabulary, hidden),
            position_embeddings=nn.Embedding(positions, hidden),
            token_type_embeddings=nn.Embedding(2, hidden),
            LayerNorm=nn.LayerNorm(hidden, eps=1e-12),
        )
        encoder = Named(
            layer=nn.ModuleList(BertLayer(f"layer.{i}", hidden, heads, intermediate) for i in range(layers))
        )
        self.bert = Named(embeddings=embeddings, encoder=encoder, pooler=Named(dense=Linear(hidden, hidden)))
        self.classifier = Linear(hidden, 2)
        self.ready()

    def forward(self, input_ids, attention_mask, token_type_ids):
        embeddings = self.bert.embeddings
        positions = torch.arange(input_ids.shape[1])
        x = embeddings.word_embeddings(input_ids) + embeddings.token_type_embeddings(token_type_ids)
        x = embeddings.LayerNorm(x + embeddings.position_embeddings(positions))
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        for layer in self.bert.encoder.layer:
            x = layer(x, bias)
        pooled = torch.tanh(self.bert.pooler.dense(self.points("first", x[:, 0])))
        return self.classifier(self.points("pooler", pooled))

    def fold(self):
        """There is no BatchNorm."""
        return self


def load_onnx(model: Network, path: str) -> Network:
    """The weights of an ONNX file, whose matrices within the encoder are stored as [in, out]."""
    arrays = {each.name: numpy_helper.to_array(each) for each in onnx.load(path).graph.initializer}
    state = {}
    for name in model.state_dict():
        if name.endswith("num_batches_tracked"):
            continue
        array = arrays[name]
        within = name.startswith("bert.encoder.") and array.ndim == 2
        state[name] = torch.from_numpy(np.array(array.T if within else array))
    return load(model, state)


def load_npy(model: Network, folder) -> Network:
    names = [name for name in model.state_dict() if not name.endswith("num_batches_tracked")]
    return load(model, {name: torch.from_numpy(np.load(folder / f"{name}.npy")) for name in names})


def load(model: Network, state: dict) -> Network:
    missing, unexpected = model.load_state_dict(state, strict=False)
    missing = [name for name in missing if not name.endswith("num_batches_tracked")]
    if missing or unexpected:
        raise SystemExit(f"the weights do not fit: {missing} {unexpected}")
    return model


def start_from_teacher(student: Network, teacher: Network, layers: dict) -> None:
    """Weights with the teacher's name and shape; layer k of M is layer round(k (N - 1) / (M - 1)) of N.

    `layers` has the numbers of layers, student and teacher, by what their names begin with.
    """
    given = teacher.state_dict()
    state = student.state_dict()
    for name in state:
        source = name
        for prefix, (own, its) in layers.items():
            if name.startswith(prefix):
                number, rest = name[len(prefix) :].split(".", 1)
                place = int(number) * (its - 1) / max(1, own - 1)
                source = f"{prefix}{math.floor(place + 0.5)}.{rest}"
        found = given.get(source)
        if found is not None and found.shape == state[name].shape:
            state[name] = found.clone()
    student.load_state_dict(state)

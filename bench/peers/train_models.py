"""The networks of bench:train in plain PyTorch: modules and names as torchvision and Transformers have them."""

import torch
from torch import nn
from torch.nn import functional as F


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al., CVPR 2016)."""

    def __init__(self, planes_in: int, planes: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(planes_in, planes, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(planes, planes, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(planes)
        self.downsample = None
        if stride != 1 or planes_in != planes:
            self.downsample = nn.Sequential(
                nn.Conv2d(planes_in, planes, 1, stride, bias=False), nn.BatchNorm2d(planes)
            )

    def forward(self, x):
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        y += shortcut
        return self.relu(y)


class CifarResNet(nn.Module):
    """The ResNet for CIFAR of 6n + 2 layers, shortcuts by projection."""

    def __init__(self, n: int, classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU(inplace=True)
        planes_in = 16
        for stage, planes in enumerate((16, 32, 64)):
            blocks = []
            for i in range(n):
                blocks.append(BasicBlock(planes_in, planes, 2 if stage > 0 and i == 0 else 1))
                planes_in = planes
            setattr(self, f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(planes_in, classes)

    def forward(self, input):
        x = self.relu(self.bn1(self.conv1(input)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def conv_bn(planes_in: int, planes: int, kernel: int, stride: int, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(planes_in, planes, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False),
        nn.BatchNorm2d(planes),
        nn.ReLU6(inplace=True),
    )


class InvertedResidual(nn.Module):
    def __init__(self, planes_in: int, planes: int, stride: int, expand: int):
        super().__init__()
        hidden = planes_in * expand
        self.adds = stride == 1 and planes_in == planes
        layers = [] if expand == 1 else [conv_bn(planes_in, hidden, 1, 1)]
        layers += [conv_bn(hidden, hidden, 3, stride, hidden), nn.Conv2d(hidden, planes, 1, bias=False)]
        self.conv = nn.Sequential(*layers, nn.BatchNorm2d(planes))

    def forward(self, x):
        return x + self.conv(x) if self.adds else self.conv(x)


class MobileNetV2(nn.Module):
    """Sandler et al., CVPR 2018, without the dropout before its classifier."""

    PLAN = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))

    def __init__(self, classes: int):
        super().__init__()
        features = [conv_bn(3, 32, 3, 2)]
        planes_in = 32
        for expand, planes, count, stride in self.PLAN:
            for i in range(count):
                features.append(InvertedResidual(planes_in, planes, stride if i == 0 else 1, expand))
                planes_in = planes
        features.append(conv_bn(planes_in, 1280, 1, 1))
        self.features = nn.Sequential(*features)
        self.classifier = nn.Sequential(nn.Identity(), nn.Linear(1280, classes))

    def forward(self, input):
        x = self.features(input)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class Named(nn.Module):
    """Modules under names that Python does not have as attributes of a class."""

    def __init__(self, /, **modules: nn.Module):
        super().__init__()
        for name, module in modules.items():
            setattr(self, name, module)


class BertLayer(nn.Module):
    def __init__(self, hidden: int, heads: int, intermediate: int):
        super().__init__()
        self.heads = heads
        linear = nn.Linear
        self.attention = Named(
            self=Named(query=linear(hidden, hidden), key=linear(hidden, hidden), value=linear(hidden, hidden)),
            output=Named(dense=linear(hidden, hidden), LayerNorm=nn.LayerNorm(hidden, eps=1e-12)),
        )
        self.intermediate = Named(dense=linear(hidden, intermediate))
        self.output = Named(dense=linear(intermediate, hidden), LayerNorm=nn.LayerNorm(hidden, eps=1e-12))

    def forward(self, x, bias):
        n, length, hidden = x.shape
        own = getattr(self.attention, "self")

        def split(y):
            return y.view(n, length, self.heads, hidden // self.heads).transpose(1, 2)

        y = F.scaled_dot_product_attention(split(own.query(x)), split(own.key(x)), split(own.value(x)), attn_mask=bias)
        y = self.attention.output.dense(y.transpose(1, 2).reshape(n, length, hidden))
        x = self.attention.output.LayerNorm(y + x)
        y = self.output.dense(F.gelu(self.intermediate.dense(x)))
        return self.output.LayerNorm(y + x)


class Bert(nn.Module):
    """BertForSequenceClassification without dropout; attention by PyTorch's fused kernel, as in Transformers."""

    def __init__(self, layers: int, hidden: int, heads: int, intermediate: int, vocabulary: int, labels: int):
        super().__init__()
        embeddings = Named(
            word_embeddings=nn.Embedding(vocabulary, hidden),
            position_embeddings=nn.Embedding(512, hidden),
            token_type_embeddings=nn.Embedding(2, hidden),
            LayerNorm=nn.LayerNorm(hidden, eps=1e-12),
        )
        encoder = Named(layer=nn.ModuleList(BertLayer(hidden, heads, intermediate) for _ in range(layers)))
        self.bert = Named(embeddings=embeddings, encoder=encoder, pooler=Named(dense=nn.Linear(hidden, hidden)))
        self.classifier = nn.Linear(hidden, labels)

    def forward(self, input_ids, attention_mask, token_type_ids):
        embeddings = self.bert.embeddings
        positions = torch.arange(input_ids.shape[1])
        x = embeddings.word_embeddings(input_ids) + embeddings.token_type_embeddings(token_type_ids)
        x = embeddings.LayerNorm(x + embeddings.position_embeddings(positions))
        bias = (1.0 - attention_mask[:, None, None, :].to(x.dtype)) * torch.finfo(x.dtype).min
        bias = bias.expand(-1, 1, x.shape[1], -1)
        for layer in self.bert.encoder.layer:
            x = layer(x, bias)
        return self.classifier(torch.tanh(self.bert.pooler.dense(x[:, 0])))


BUILD = {
    "resnet20": lambda: CifarResNet(3, 10),
    "mobilenet_v2": lambda: MobileNetV2(1000),
    "bert-small": lambda: Bert(4, 512, 8, 2048, 30522, 2),
}

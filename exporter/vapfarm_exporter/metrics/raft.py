"""RAFT (Teed & Deng 2020): optical flow by looking up all-pairs correlations and updating the flow again and again.

Frames are 0..255; the flow is in pixels. The pyramid has one level here (the released network's has four), so a side
below 16 pixels gives a level of one pixel, which has no place between corners: its flow is NaN, as in the reference.
onnxruntime takes a place that is NaN for one outside, so the graph gives numbers there: callers hold to the minimum side.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .warp import pixel_grid, sample

STRIDE = 8
MINIMUM_SIDE = 16


class Encoder(nn.Module):
    """A frame to features at an eighth of its size."""

    def __init__(self, channels: int, out: int, is_normed: bool) -> None:
        super().__init__()
        widths = (3, channels, channels + 8, channels + 16)
        self.convs = nn.ModuleList(nn.Conv2d(a, b, 3, 2, padding=1) for a, b in pairwise(widths))
        self.out = nn.Conv2d(widths[-1], out, 1)
        self.norm = F.instance_norm if is_normed else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """[1, 3, H, W] in -1..1 -> [1, out, H/8, W/8]."""
        for conv in self.convs:
            x = F.relu(self.norm(conv(x)))
        return self.out(x)


class Update(nn.Module):
    """One step: motion features, a convolutional GRU, and the change of the flow that its state asks for."""

    def __init__(self, hidden: int, context: int, correlations: int) -> None:
        super().__init__()
        self.corr = nn.Conv2d(correlations, hidden, 1)
        self.flow = nn.Conv2d(2, 8, 3, padding=1)
        self.motion = nn.Conv2d(hidden + 8, hidden - 2, 3, padding=1)
        inputs = 2 * hidden + context
        self.convz, self.convr, self.convq = (nn.Conv2d(inputs, hidden, 3, padding=1) for _ in range(3))
        self.head1 = nn.Conv2d(hidden, hidden, 3, padding=1)
        self.head2 = nn.Conv2d(hidden, 2, 3, padding=1)

    def forward(self, state: Tensor, context: Tensor, corr: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
        """The new state [1, hidden, h, w] and the change of the flow [1, 2, h, w]."""
        motion = torch.cat([F.relu(self.corr(corr)), F.relu(self.flow(flow))], dim=1)
        given = torch.cat([context, F.relu(self.motion(motion)), flow], dim=1)
        both = torch.cat([state, given], dim=1)
        z, r = torch.sigmoid(self.convz(both)), torch.sigmoid(self.convr(both))
        q = torch.tanh(self.convq(torch.cat([r * state, given], dim=1)))
        state = (1 - z) * state + z * q
        return state, self.head2(F.relu(self.head1(state)))


class Raft(nn.Module):
    """Two frames to the flow from the first to the second."""

    def __init__(self, channels: int, features: int, hidden: int, radius: int, iterations: int) -> None:
        super().__init__()
        self.iterations = iterations
        self.fnet = Encoder(channels, features, is_normed=True)
        self.cnet = Encoder(channels, 2 * hidden, is_normed=False)
        self.update = Update(hidden, hidden, (2 * radius + 1) ** 2)
        self.mask = nn.Conv2d(hidden, 9 * STRIDE * STRIDE, 1)
        steps = torch.arange(-radius, radius + 1, dtype=torch.float32)
        self.register_buffer("window", torch.stack(torch.meshgrid(steps, steps, indexing="xy"), dim=-1)[None], persistent=False)
        self.register_buffer("neighbours", torch.eye(9).reshape(9, 1, 3, 3), persistent=False)

    def _correlations(self, first: Tensor, second: Tensor) -> Tensor:
        """[1, C, h, w] twice -> [h w, 1, h, w]."""
        products = first.flatten(2).transpose(1, 2) @ second.flatten(2)
        return products.reshape(-1, 1, *second.shape[-2:]) * first.shape[1] ** -0.5

    def _looked_up(self, correlations: Tensor, places: Tensor) -> Tensor:
        """Correlations in a window around each place [1, 2, h, w] -> [1, window, h, w]."""
        centres = places[0].flatten(1).transpose(0, 1)[:, None, None]
        found = sample(correlations, centres + self.window)
        return found.flatten(1).transpose(0, 1).reshape(1, -1, *places.shape[-2:])

    def _upsampled(self, flow: Tensor, state: Tensor) -> Tensor:
        """[1, 2, h, w] -> [1, 2, 8h, 8w]: each pixel a convex combination of its cell's nine neighbours."""
        height, width = flow.shape[-2:]
        weights = (0.25 * self.mask(state)).reshape(1, 9, STRIDE, STRIDE, height, width).softmax(1)
        near = F.conv2d(STRIDE * flow.transpose(0, 1), self.neighbours, padding=1)
        up = (weights * near[:, :, None, None]).sum(1)
        return up.permute(0, 3, 1, 4, 2).reshape(1, 2, STRIDE * height, STRIDE * width)

    def forward(self, frame0: Tensor, frame1: Tensor) -> Tensor:
        """[1, 3, H, W] twice, 0..255, sides multiples of 8 -> [1, 2, H, W]."""
        first, second = 2 * (frame0 / 255) - 1, 2 * (frame1 / 255) - 1
        correlations = self._correlations(self.fnet(first), self.fnet(second))
        state, context = self.cnet(first).chunk(2, dim=1)
        state, context = torch.tanh(state), F.relu(context)
        own = pixel_grid(state)
        flow = torch.zeros_like(own)
        for _ in range(self.iterations):
            state, change = self.update(state, context, self._looked_up(correlations, own + flow), flow)
            flow = flow + change
        return self._upsampled(flow, state)

"""How long a training step takes on several devices, predicted from arithmetic, bytes and messages. No torch.

A step computes, and waits for the others where they exchange something: the statistics of every BatchNorm in the
forward pass and their gradients in the backward pass, the projections and what all made of them, the gradients of the
weights in one message, and a few flags at its edge. Nothing overlaps, as in our training. A message of n bytes between
W devices costs, with bandwidth b, latency l of a hop and overhead o of a call (Thakur et al. 2005),

    all-reduce, ring:   o + 2 (W - 1) l + 2 (W - 1) / W n / b
    all-reduce, tree:   o + 2 ceil(log2 W) l + 2 n / b            (the faster of the two is taken)
    all-gather:         o + (W - 1) l + (W - 1) n / b             (n of each device)

What is not in it: waiting for the slowest, which every exchange does, other users of the network, input, measurements
and checkpoints, and kernels that lose their speed when a device has few images.
"""

import math
from dataclasses import dataclass, replace

PASSES = 3
"""Matrix products of a contrastive loss and its gradient for each pair: one forward, two backward."""
EDGE_BYTES = 64
"""What processes agree on at the edge of a step."""


@dataclass(frozen=True)
class Work:
    """What a step is made of.

    Attributes:
        flops: of one image, all its views and attack steps together.
        gradient_bytes: of all weights that are trained.
        num_norms: layers of BatchNorm.
        norm_bytes: of the statistics of all of them.
        num_views: of one image.
        projection_dim: length of a projection, in fp32; 0 where nothing is contrasted.
    """

    flops: float
    gradient_bytes: int
    num_norms: int
    norm_bytes: int
    num_views: int = 1
    projection_dim: int = 0


@dataclass(frozen=True)
class Link:
    """What connects devices.

    Attributes:
        bandwidth: bytes a second of one device.
        latency: seconds of a hop.
        overhead: seconds of a call, however small.
    """

    bandwidth: float
    latency: float
    overhead: float


@dataclass(frozen=True)
class Cluster:
    """Devices and what connects them.

    Attributes:
        flops: a second that one device attains in training, alone.
        node_size: devices of a machine.
        inside: what connects those.
        between: what connects machines; it bounds every message that leaves one, and each machine has one such hop.
        cores: of a machine whose devices are processes on its cores; then more processes than cores share them.
    """

    flops: float
    node_size: int
    inside: Link
    between: Link
    cores: int | None = None

    def link(self, world: int) -> Link:
        """What a ring of so many devices has: the slowest bandwidth, and the mean latency of its hops."""
        if world <= self.node_size:
            return self.inside
        hops = (self.node_size - 1) * self.inside.latency + self.between.latency
        return replace(self.between, latency=hops / self.node_size)

    def share(self, world: int) -> float:
        """Of a device's speed, what is left to it among so many."""
        return 1.0 if self.cores is None else min(1.0, self.cores / world)


@dataclass(frozen=True)
class Step:
    """Seconds of a step: computing, and what is exchanged."""

    compute: float
    gradients: float
    projections: float
    norms: float
    edge: float

    @property
    def seconds(self) -> float:
        """Of the whole step."""
        return self.compute + self.gradients + self.projections + self.norms + self.edge


def step_of(work: Work, cluster: Cluster, world: int, images: float) -> Step:
    """Predict a step.

    Args:
        work: what it is made of.
        cluster: where.
        world: devices.
        images: of one device.
    """
    link, share = cluster.link(world), cluster.share(world)
    row = work.projection_dim * 4
    gathered = images * work.num_views * row
    contrast = PASSES * 2 * (images * work.num_views) * (images * world * work.num_views) * work.projection_dim
    norm = work.norm_bytes / max(1, work.num_norms)
    each_norm = all_gather(norm, world, link) + all_reduce(norm, world, link)
    exchanged = all_gather(gathered, world, link) + all_reduce(gathered * world, world, link) if row else 0.0
    return Step(
        compute=(images * work.flops + contrast) / cluster.flops / share,
        gradients=all_reduce(work.gradient_bytes, world, link) / share,
        projections=exchanged / share,
        norms=work.num_norms * each_norm / share,
        edge=all_reduce(EDGE_BYTES, world, link) / share,
    )


def all_reduce(size: float, world: int, link: Link) -> float:
    """Seconds until every device has the sum of `size` bytes of each."""
    if world == 1:
        return 0.0
    ring = 2 * (world - 1) * link.latency + 2 * (world - 1) / world * size / link.bandwidth
    tree = 2 * math.ceil(math.log2(world)) * link.latency + 2 * size / link.bandwidth
    return link.overhead + min(ring, tree)


def all_gather(size: float, world: int, link: Link) -> float:
    """Seconds until every device has the `size` bytes of each."""
    if world == 1:
        return 0.0
    return link.overhead + (world - 1) * (link.latency + size / link.bandwidth)


def weak_efficiency(work: Work, cluster: Cluster, world: int, images: int) -> float:
    """Images a second of a device among `world`, over those of one alone, where each has as many images."""
    return step_of(work, cluster, 1, images).seconds / step_of(work, cluster, world, images).seconds


def strong_efficiency(work: Work, cluster: Cluster, world: int, batch_size: int) -> float:
    """The same where all devices share one batch; one device alone would compute it in parts."""
    alone = step_of(work, cluster, 1, batch_size).seconds
    return alone / world / step_of(work, cluster, world, batch_size / world).seconds


def link_of(small: float, large: float, size: int) -> Link:
    """The link between two devices, from two measured all-reduces.

    Args:
        small: seconds of one of a few bytes; half is taken for the call and half for its two hops.
        large: seconds of one of `size` bytes.
        size: in bytes.

    Raises:
        ValueError: the large one was not slower.
    """
    if large <= small:
        raise ValueError(f"{size} bytes took {large} s and a few took {small} s; measure again on an idle machine")
    return Link(bandwidth=size / (large - small), latency=small / 4, overhead=small / 2)

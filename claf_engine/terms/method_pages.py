"""What a person asks of a method before choosing it: what it is, where it is from, what is known of it under attack.

What it costs is computed from the settings (`training.costs`). No torch, so that help comes at once.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class MethodPage:
    """One method, for whoever has not heard of it.

    Attributes:
        title: its name in the field.
        source: authors and year, with the paper's number where it has one.
        what: what is trained, in two or three sentences.
        known: what it is known to do under a strong attack, in one or two sentences; measurements of ours are named as
            such.
        section: where `docs/` tells all, as page and heading: "methods.md#claf".
    """

    title: str
    source: str
    what: str
    known: str
    section: str


METHOD_PAGES: dict[str, MethodPage] = {
    "claf": MethodPage(
        "CLAF: contrastive learning with adversarial features",
        "arXiv 2203.08959, Algorithm 1",
        "An encoder learns to gather the views of a class. Each epoch a linear classifier is then retrained on "
        "attacked images, and the attack on encoder and classifier gives each image an adversarial view that is pulled "
        "to its class. Last, linear classifiers are fitted on the encoder as it stands.",
        "Its published 60.4 % was measured on normalised, clamped values and is no accuracy in an epsilon-ball; in "
        "pixels it stays below adversarial training for the same arithmetic (ours, docs/results.md).",
        "methods.md#claf",
    ),
    "natural": MethodPage(
        "Natural training",
        "the row Natural of the paper's Table 1",
        "Encoder and classifier learn the images as they are, by cross-entropy.",
        "Broken: nothing is left of it under any attack of 8/255.",
        "methods.md#natural",
    ),
    "scl": MethodPage(
        "Supervised contrastive learning",
        "Khosla et al. 2020, arXiv 2004.11362; SimCLR, Chen et al. 2020, arXiv 2002.05709",
        "An encoder learns to gather the views of a class, or of an image alone (SimCLR); then a linear classifier is "
        "fitted on it. No image is attacked.",
        "Broken: crossing steps leave nothing, though ten short steps may seem to.",
        "methods.md#scl",
    ),
    "at": MethodPage(
        "Adversarial training",
        "Madry et al. 2018, arXiv 1706.06083; Rice et al. 2020, arXiv 2002.11569",
        "Encoder and classifier learn images that PGD has attacked, by cross-entropy.",
        "Holds: AutoAttack takes a few points off PGD. Robust accuracy falls again late in long training (Rice et "
        "al.), which is why the best checkpoint is kept.",
        "methods.md#at",
    ),
    "fgsm": MethodPage(
        "Fast adversarial training",
        "Wong et al. 2020, arXiv 2001.03994",
        "Adversarial training whose attack is one large step from a random start, for a quarter of the arithmetic.",
        "Holds as long as it does not collapse: within an epoch or two it may learn to fool its own one step and lose "
        "all robustness (catastrophic overfitting), which is watched at every epoch.",
        "methods.md#fgsm",
    ),
    "trades": MethodPage(
        "TRADES",
        "Zhang et al. 2019, arXiv 1901.08573",
        "Cross-entropy of natural images, and a weight on how far an attack can move what the network says of each.",
        "Holds: it lies beside adversarial training under AutoAttack, with less natural accuracy for more weight.",
        "methods.md#trades",
    ),
    "alp": MethodPage(
        "Adversarial logit pairing",
        "Kannan et al. 2018, arXiv 1803.06373",
        "Natural and attacked images are both learned, and the logits of each pair are pulled together.",
        "More steps leave 0.6 of 27.9 % on ImageNet (Engstrom et al. 2018, arXiv 1807.10272) and 10.7 of 23.6 % on "
        "CIFAR-10 (Mosbach et al. 2018, arXiv 1810.12042): never believe ten steps here.",
        "methods.md#alp",
    ),
    "rocl": MethodPage(
        "RoCL: robust contrastive learning without labels",
        "Kim et al. 2020, arXiv 2006.07589",
        "An encoder learns to tell images apart under an attack that makes each look like another one; then a "
        "classifier is fitted on it, naturally or on attacked images, or everything is trained on adversarially "
        "(RoCL-AT).",
        "Holds after adversarial fine-tuning, about as adversarial training does; a linear classifier alone keeps "
        "less.",
        "methods.md#rocl",
    ),
    "acl": MethodPage(
        "ACL: adversarial contrastive pretraining",
        "Jiang et al. 2020, arXiv 2010.13337 (reference 26 of the paper)",
        "An encoder learns to tell images apart while an attack on that very loss moves both views of each. In its "
        "dual stream natural and attacked views share the convolutions and have a BatchNorm each. Then a classifier is "
        "fitted on it, naturally or on attacked images, or everything is trained on adversarially.",
        "Holds after adversarial fine-tuning, which is what makes it robust; a linear classifier alone keeps a third "
        "of drawn shapes where fine-tuning keeps nine tenths (ours, docs/related/acl.md).",
        "related/acl.md#adversarial-contrastive-pretraining",
    ),
    "clp": MethodPage(
        "Clean logit pairing and logit squeezing",
        "Kannan et al. 2018, arXiv 1803.06373; Mosbach et al. 2018, arXiv 1810.12042",
        "Natural images with Gaussian noise are learned while the logits of random pairs are pulled together, or all "
        "are kept small. No image is attacked.",
        "Broken: on MNIST 62 % withstand PGD and 4 % many steps and restarts, on CIFAR-10 none (Mosbach et al. 2018). "
        "On drawn shapes with noise it holds at 8/255, and without noise nothing is left (ours).",
        "related/logit-pairing.md#clp",
    ),
    "two-encoders": MethodPage(
        "Two encoders, clean and attacked",
        "reference [28] of the paper, as its section 2 describes it",
        "One encoder learns natural images, the other one attacked images; a contrastive loss pulls their projections "
        "of an image together. One of the two is measured: the attacked one, unless told otherwise.",
        "The attacked encoder is adversarial training with a term more. The clean one is attacked by nobody while it "
        "learns, and agreement with the other encoder is no robustness.",
        "related/two-encoders.md#two-encoders",
    ),
    "rectifier": MethodPage(
        "Perturbation rectifying network",
        "Akhtar et al. 2018, arXiv 1711.05929",
        "A network is trained naturally and then stands still. Universal perturbations are crafted against it, and "
        "convolutions before it learn to restore its answers to perturbed images; a detector learns the spectrum of "
        "what they change. `eval --defence rectifier` measures both together.",
        "Holds against universal perturbations that are crafted without knowledge of it (85.5 % of test images, ours) "
        "and nothing else: one that is crafted through it leaves 10.5 %, and PGD on each image next to none.",
        "related/rectifier.md#perturbation-rectifying-network",
    ),
    "defense-gan": MethodPage(
        "DefenseGAN",
        "Samangouei et al. 2018, arXiv 1805.06605; WGAN-GP, Gulrajani et al. 2017, arXiv 1704.00028",
        "A generator learns natural images against a critic, and a classifier learns them as they are. With "
        "`claf-tui eval RUN --defence defense-gan` the classifier sees, of every image, the nearest one that the "
        "generator can make.",
        "Its descent hides the gradient. Taking it for the identity left 55 % on MNIST, and a perfect projection would "
        "keep nothing, for there are adversarial images among generated ones (Athalye et al. 2018, arXiv 1802.00420). "
        "Ours on drawn shapes: 61 % naturally, 52 % for who does not know it, 38 % for who does; the audit fails.",
        "related/defense-gan.md#defensegan",
    ),
    "pretext": MethodPage(
        "Self-supervised pretexts, then adversarial fine-tuning",
        "Gidaris et al. 2018, arXiv 1803.07728; Chen et al. 2020, arXiv 2003.12862",
        "An encoder learns without labels to tell by how many quarters an image was turned, in which order its tiles "
        "lie (jigsaw) or which hidden patch belongs where (selfie), on attacked images too; then everything is trained "
        "adversarially, or a classifier is fitted on it. The rotation task may also stand beside any adversarial loss.",
        "Holds after adversarial fine-tuning, for that is what protects. On drawn shapes no pretext gained anything "
        "over adversarial training of as much arithmetic (ours, one seed, validation images).",
        "related/pretexts.md#pretraining",
    ),
    "union": MethodPage(
        "Adversarial training over several perturbation types",
        "Tramer and Boneh 2019, arXiv 1904.13000; Maini et al. 2020, arXiv 1909.04068",
        "Adversarial training over the union of balls in Linf, L2 and L1: the worst of an attack in each (max), all of "
        "them (avg), or one attack that takes the worst of all steps at every step (msd).",
        "Holds over its balls together, and pays in Linf: 47.6 % where training there alone keeps 50.7 % (Maini et al. "
        "2020). Judge it by the worst case over all balls per example, and in L1 by an attack that projects exactly, "
        "because those of its time left L1 figures too high (Croce and Hein 2021, arXiv 2103.01208). Ours, on drawn "
        "shapes: 89 % over the union, where training in Linf alone keeps 81 %, and 98 % in Linf.",
        "related/union.md#training-over-the-union",
    ),
}
"""By the name that `method` has in the settings, for every method of our own."""

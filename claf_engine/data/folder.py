"""A folder of PNG and JPEG files as an image source."""

from claf_engine.config import DataConfig
from claf_engine.config.sources import FOLDER
from claf_engine.data.items import Catalogue, Files, Part
from claf_engine.data.listing import Listing, list_folder
from claf_engine.data.splitting import divide


def folder_catalogue(config: DataConfig, *, needs_train: bool = True) -> Catalogue:
    """List a folder of images.

    Without `needs_train` a folder may lack train/; its training part is then empty, and test images give the form.

    Raises:
        DataError: the folder is not what it should be.
    """
    path, own = config.source.removeprefix(FOLDER), config.validation == "own"
    listing = list_folder(path, needs_train=needs_train, takes_validation=own)
    parts = {
        name: Part.of(Files(tuple(map(str, files))), listing.labels[name]) for name, files in listing.files.items()
    }
    notices = tuple(_listing_notices(listing))
    divided = divide(parts, config, str(listing.root))
    return Catalogue(
        source=config.source,
        place=str(listing.root),
        class_names=listing.class_names,
        train=divided.train,
        test=divided.test,
        validation=divided.validation,
        notices=(*notices, *divided.notices),
        fingerprint=f"{listing.fingerprint}{divided.key}",
    )


def _listing_notices(listing: Listing) -> list[str]:
    """What lies in the folder and is not read, or is read from elsewhere."""
    notices = []
    if listing.tested_on not in ("test", ""):
        notices.append(
            f"Took the {len(listing.files['test'])} images of {listing.root / listing.tested_on} to test on: there is "
            "no test/."
        )
    if listing.skipped:
        first = listing.skipped[0].relative_to(listing.root)
        what = "file or folder that is" if len(listing.skipped) == 1 else "files or folders that are"
        notices.append(
            f"Skipped {len(listing.skipped)} {what} not .png or .jpg in a class folder of {listing.root}, "
            f"first {first}."
        )
    if listing.num_below:
        notices.append(
            f"Among what was skipped are {listing.num_below} images in folders inside class folders of {listing.root}; "
            "move them up into their class folder to use them."
        )
    if listing.unused:
        names = " and ".join(f"{name}/" for name in listing.unused)
        notices.append(
            f"Left {names} of {listing.root} alone: validation images are held out of train/ (data.num_validation)."
        )
    if listing.outside:
        first = listing.outside[0].relative_to(listing.root)
        what = "link leads" if len(listing.outside) == 1 else "links lead"
        notices.append(f"{len(listing.outside)} {what} out of {listing.root}, first {first}; what is there is used.")
    return notices

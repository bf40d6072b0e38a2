"""The ids by which a COCO file refers to images and categories."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True)
class CocoIds:
    """Ids of images and categories.

    Attributes:
        images: Id by the path of the image.
        categories: Id by the name of the class.
    """

    images: Mapping[str, int | str]
    categories: Mapping[str, int | str]

    @classmethod
    def counted(cls, images: Iterable[str], names: Sequence[str]) -> CocoIds:
        """Number images and classes from 1, in their order.

        Args:
            images: Paths of the images.
            names: Class names, in the order of their indices.

        Example:
            >>> CocoIds.counted(["a.jpg", "b.jpg"], ["cat"])
            CocoIds(images={'a.jpg': 1, 'b.jpg': 2}, categories={'cat': 1})
        """
        return cls(
            {image: number for number, image in enumerate(images, start=1)},
            {name: number for number, name in enumerate(names, start=1)},
        )

    def for_classes(self, names: Sequence[str]) -> CocoIds:
        """Return the ids with a category for each class; classes that the file does not have get the next free ids.

        Args:
            names: Class names of the data set, in the order of their indices.

        Example:
            >>> CocoIds({}, {"cat": 18}).for_classes(["cat", "dog"]).categories
            {'cat': 18, 'dog': 19}
        """
        highest = max((number for number in self.categories.values() if isinstance(number, int)), default=0)
        missing = [name for name in names if name not in self.categories]
        return CocoIds(self.images, {**self.categories, **dict(zip(missing, count(highest + 1), strict=False))})

"""The ids by which a COCO file refers to images and categories."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import count


@dataclass(frozen=True)
class CocoIds:
    """Ids of images and categories.

    Attributes:
        images: Ids by the path of the image: one, or more if the file lists the image more than once.
        categories: Id by the name of the class.
    """

    images: Mapping[str, Sequence[int | str]]
    categories: Mapping[str, int | str]

    @classmethod
    def counted(cls, images: Iterable[str], names: Sequence[str]) -> CocoIds:
        """Number images and classes from 1, in their order.

        Args:
            images: Paths of the images.
            names: Class names, in the order of their indices.

        Example:
            >>> CocoIds.counted(["a.jpg", "b.jpg"], ["cat"])
            CocoIds(images={'a.jpg': [1], 'b.jpg': [2]}, categories={'cat': 1})
        """
        return cls.of_images(images, count(1), {name: number for number, name in enumerate(names, start=1)})

    @classmethod
    def of_images(
        cls, images: Iterable[str], image_ids: Iterable[int | str], categories: Mapping[str, int | str]
    ) -> CocoIds:
        """Join the paths of images and their ids.

        Args:
            images: Paths of the images.
            image_ids: Id of each image; further ids are ignored.
            categories: Id by the name of the class.
        """
        by_path: dict[str, list[int | str]] = {}
        for image, image_id in zip(images, image_ids, strict=False):
            by_path.setdefault(image, []).append(image_id)
        return cls(by_path, categories)

    def image_ids(self, images: Iterable[str]) -> list[int | str]:
        """Return the id of each image; an image that occurs for the second time has its second id.

        Args:
            images: Paths of the images.

        Example:
            >>> CocoIds({"a.jpg": [7, 9], "b.jpg": [8]}, {}).image_ids(["a.jpg", "b.jpg", "a.jpg"])
            [7, 8, 9]
        """
        occurrences: Counter[str] = Counter()
        image_ids = []
        for image in images:
            image_ids.append(self.images[image][occurrences[image]])
            occurrences[image] += 1
        return image_ids

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

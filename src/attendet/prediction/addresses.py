"""Addresses of network streams, and names for them that contain no password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from attendet.data.images import is_image
from attendet.utils.file_names import safe_file_name

_HTTP = "http,https,httpproxy,tcp,tls,crypto"

PROTOCOLS: Mapping[str, str] = {
    "http": _HTTP,
    "https": _HTTP,
    "rtsp": "rtsp,rtp,tcp,udp",
    "rtsps": "rtsps,rtp,tcp,tls,udp",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tcp,tls",
    "udp": "udp",
}
"""Schemes of addresses that are opened, and the protocols that FFmpeg may use for each; never local files."""

# The number of a channel may be shown; any other parameter may be a password or a token.
_SHOWN = re.compile(r"(?:ch|channel|cam|camera|stream|subtype|profile)=\d{1,3}", re.IGNORECASE)
_PARAMETER = re.compile(r"([^?&;,/#=]*=)[^&;,/#]*|(?<=[?&])[^&;,/#=]+(?=[&;,/#]|$)")
# Addresses with mistakes: without a slash of `://`, or without `rtsp://` before `user:password@`.
_CREDENTIALS = re.compile(rf"\A((?:{'|'.join(PROTOCOLS)}):/?)?[^/:@\s]{{2,}}:.*@", re.IGNORECASE | re.DOTALL)


def is_address(text: str) -> bool:
    """Return whether a text is the address of a network stream.

    Example:
        >>> is_address("rtsp://camera.local/1"), is_address("film.mp4"), is_address("ftp://host/a.mp4")
        (True, False, False)
    """
    return "://" in text and scheme_of(text) in PROTOCOLS


def scheme_of(address: str) -> str:
    """Return the scheme of an address in lower case, such as `rtsp`."""
    return address.partition("://")[0].lower()


def public_name(address: str) -> str:
    """Return an address without user, password, and values that may be secret, for messages and results.

    Example:
        >>> public_name("rtsp://admin:se@cr/et@10.0.0.5:554/live?channel=2&pin=123&9f8e")
        'rtsp://10.0.0.5:554/live?channel=2&pin=…&…'
        >>> public_name("rtsp:/me:pw@host/1"), public_name("me:pw@host/1"), public_name("photos/a.jpg")
        ('rtsp:/host/1', 'host/1', 'photos/a.jpg')
    """
    scheme, mark, rest = address.partition("://")
    if not mark:
        return _CREDENTIALS.sub(r"\1", address)
    # A password may contain / and @ although it should not.
    return f"{scheme}{mark}{_PARAMETER.sub(_public_parameter, rest.rpartition('@')[2])}"


def _public_parameter(parameter: re.Match[str]) -> str:
    return parameter[0] if _SHOWN.fullmatch(parameter[0]) else f"{parameter[1] or ''}…"


def has_misplaced_at_sign(address: str) -> bool:
    """Return whether an address has `@` behind its host only, as after a password that contains / ? or #.

    Example:
        >>> has_misplaced_at_sign("rtsp://me:a/b@host/1"), has_misplaced_at_sign("rtsp://me:ab@host/1")
        (True, False)
    """
    return "@" in address and without_credentials(address)[1] is None


def without_credentials(address: str) -> tuple[str, str | None]:
    """Return an address without user and password, and these as `user:password`; None if the address has neither.

    Example:
        >>> without_credentials("http://me:a%40b@host/a.jpg"), without_credentials("http://host/@/a.jpg")
        (('http://host/a.jpg', 'me:a@b'), ('http://host/@/a.jpg', None))
    """
    scheme, _, rest = address.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    credentials, mark, host = authority.rpartition("@")
    if not mark:
        return address, None
    return f"{scheme}://{host}{rest[len(authority) :]}", unquote(credentials)


def is_image_address(address: str) -> bool:
    """Return whether the path of an http address has the suffix of an image.

    Example:
        >>> is_image_address("https://host/a.jpg?size=3"), is_image_address("rtsp://host/a.jpg")
        (True, False)
    """
    return scheme_of(address).startswith("http") and is_image(_path(address))


def stem_of(address: str) -> str:
    """Return a stem of file names for the results of a stream: the file's name, or host and path.

    Example:
        >>> stem_of("https://host/films/walk.mp4?x=1"), stem_of("rtsp://me:pw@10.0.0.5:554/live/1")
        ('walk', '10.0.0.5_554_live_1')
    """
    name = public_name(address)
    file_name = _path(name).rpartition("/")[2]
    stem, dot, _ = file_name.rpartition(".")
    if dot and stem and scheme_of(address).startswith("http"):
        return safe_file_name(stem)
    without_query = name.partition("://")[2].partition("?")[0]
    return safe_file_name(without_query.replace(":", "_"))


def _path(address: str) -> str:
    try:
        return unquote(urlsplit(address).path)
    except ValueError:
        # An invalid host, about which opening the address reports.
        return ""

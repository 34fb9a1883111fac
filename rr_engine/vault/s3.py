"""An S3-compatible store, through s3fs. Keys and the store's own address come from the environment, as AWS names them,
or from a profile of AWS's own files, where the environment's are another store's.

What S3 adds to `objects`: files in parts, listings in pages, and what its many refusals mean.
"""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from aiobotocore.session import AioSession
from aiohttp import ClientError as HttpError
from botocore import exceptions as boto
from botocore.loaders import Loader, create_loader
from botocore.parsers import ResponseParserError
from s3fs import S3FileSystem

from rr_engine.errors import TransferError, VaultError
from rr_engine.settings import VaultSettings
from rr_engine.settings.ranges import entry_of
from rr_engine.vault.backends import Found
from rr_engine.vault.objects import PARTS_AT_ONCE, ObjectBackend, found_of, side_by_side

_MOST_PARTS = 10_000  # of one file; S3's limit
_READY_S = 60.0  # seconds to read what botocore knows of S3, on a busy machine; no store is asked
_PROOF = ".proof/create-if-absent"  # of the vault; no kind begins so
_LOST = (boto.HTTPClientError, boto.ConnectionError, boto.IncompleteReadError)  # on the way, not by what was asked
_PASSING = {408, 409, 425, 429}  # statuses below 500 after which trying again can help,
_DAMAGED = {"BadDigest", "IncompleteBody", "RequestTimeout", "XAmzContentSHA256Mismatch"}  # and codes of others


class S3Backend(ObjectBackend):
    """The part of a bucket below a prefix."""

    _faults = (OSError, boto.BotoCoreError, boto.ClientError, ResponseParserError, HttpError)

    def __init__(self, url: str, *, near: Path, settings: VaultSettings) -> None:
        found = entry_of(settings.profiles, url)
        profile = found[1] if found else None
        where = f"endpoint_url of profile {profile}" if found else "AWS_ENDPOINT_URL"
        self._account = f"profile {profile}" if found else "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        session = AioSession(profile=profile)
        files = S3FileSystem(
            **(_told_by(session, url) if found else {}),
            session=session,
            skip_instance_cache=True,  # whose keys and address might be those of an earlier environment
            use_listings_cache=False,
            config_kwargs={
                **({"ignore_configured_endpoint_urls": True} if found else {}),
                "connect_timeout": settings.timeout_s,
                "read_timeout": settings.timeout_s,
                "retries": {"total_max_attempts": 1, "mode": "standard"},  # tries are counted in one place, `_transfer`
                "max_pool_connections": 2 * max(settings.at_once, PARTS_AT_ONCE),
                # Bytes are read back anyway, and not every store knows these sums.
                "request_checksum_calculation": "when_required",
                "response_checksum_validation": "when_required",
            },
        )
        files.retries = 1  # the same of s3fs
        try:
            session.register_component("data_loader", _known(session.get_config_variable("data_path")))
            client: Any = files.connect(timeout=_READY_S)
        except ValueError:  # it quotes the address, which may hold a secret
            raise VaultError(f"no way to {url}: {where} must be http(s)://host:port") from None
        except self._faults as error:
            raise VaultError(f"no way to {url}: {error}") from error
        if "@" in client.meta.endpoint_url:
            raise VaultError(f"no way to {url}: {where} must hold no keys; they have names of their own")
        super().__init__(url, files, near=near, settings=settings)
        self._bucket = self._root.partition("/")[0]
        self._proven = False

    def create(self, name: str, data: bytes) -> bool:
        if not self._proven:
            self._prove()
        return super().create(name, data)

    def _prove(self) -> None:
        """Raise VaultError unless the store refuses to create what is there: pointers and claims rest on that."""
        for _ in range(2):
            try:
                self._send(_PROOF, b"what is there is not created again", create=True)
            except FileExistsError:
                self._proven = True
                return
        raise VaultError(
            f"{self.url} overwrites what is to be created only where nothing is: a vault needs a store that heeds "
            "`If-None-Match: *`"
        )

    def _send(self, name: str, source: Path | bytes, *, create: bool = False) -> None:
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        if size <= self._part:
            super()._send(name, source, create=create)
            return
        key = self._key(name)
        upload = {"Key": key, "UploadId": self._demand(name, "create_multipart_upload", Key=key)["UploadId"]}
        part = max(self._part, -(-size // _MOST_PARTS))

        def send_part(number: int) -> dict[str, Any]:
            data = _piece(source, (number - 1) * part, part)
            self._book(len(data))
            answer = self._demand(name, "upload_part", **upload, PartNumber=number, Body=data)
            return {"PartNumber": number, "ETag": answer["ETag"]}

        complete = False
        try:
            parts = list(side_by_side(send_part, range(1, -(-size // part) + 1), at_once=PARTS_AT_ONCE))
            condition = {"IfNoneMatch": "*"} if create else {}
            # No answer means no such upload: an earlier try has completed it unheard, which reading back will tell.
            self._ask(name, "complete_multipart_upload", **upload, MultipartUpload={"Parts": parts}, **condition)
            complete = True
        finally:
            if not complete:
                with suppress(*self._faults):  # parts nobody can drop go by the bucket's own rule
                    self._call("abort_multipart_upload", **upload)

    def _put(self, path: str, data: bytes, mode: str) -> None:
        proof = base64.b64encode(hashlib.md5(data, usedforsecurity=False).digest()).decode()
        self._files.pipe_file(path, data, mode=mode, ContentMD5=proof, **self._bound)

    def _get(self, path: str, start: int) -> bytes:
        try:
            return super()._get(path, start)
        except OSError as fault:
            if _answer(fault)[0] == "InvalidRange":  # nothing lies there
                return b""
            raise

    def _list(self, folder: str) -> list[tuple[str, str]]:
        found: list[tuple[str, str]] = []
        for page in self._pages(folder, Prefix=self._key(f"{folder}/" if folder else ""), Delimiter="/"):
            found += [(entry["Key"], entry["ETag"]) for entry in page.get("Contents", ())]
            found += [(entry["Prefix"], "") for entry in page.get("CommonPrefixes", ())]
        return found

    def _walk(self, path: str) -> list[tuple[str, Found]]:
        key = path.partition("/")[2]
        pages = self._pages(path, Prefix=f"{key}/" if key else "")
        return [
            (f"{self._bucket}/{entry['Key']}", found_of(entry["Key"], entry))
            for page in pages
            for entry in page.get("Contents", ())
        ]

    def _pages(self, name: str, **asked: Any) -> Iterator[dict[str, Any]]:
        """A listing, page by page, each a request."""
        while True:
            page = self._demand(name, "list_objects_v2", **asked)
            yield page
            if not page.get("IsTruncated"):
                return
            asked["ContinuationToken"] = page["NextContinuationToken"]

    def _key(self, name: str) -> str:
        return self._at(name).partition("/")[2]

    def _call(self, method: str, **asked: Any) -> dict[str, Any]:
        return self._files.call_s3(method, Bucket=self._bucket, **asked, **self._bound)

    def _ask(self, name: str, method: str, **asked: Any) -> dict[str, Any] | None:
        return self._transfer(name, lambda: self._call(method, **asked))

    def _demand(self, name: str, method: str, **asked: Any) -> dict[str, Any]:
        """As `_ask`, where there must be an answer."""
        answer = self._ask(name, method, **asked)
        if answer is None:
            raise TransferError(f"{self.url}/{name}: {method} was answered by `not found`")
        return answer

    def _meaning(self, place: str, fault: Exception) -> VaultError | FileExistsError | None:
        code, status = _answer(fault)
        if code == "NoSuchBucket":
            return VaultError(f"{place}: there is no bucket {self._bucket}; make it, or name another in RR_VAULT")
        if code == "PreconditionFailed":
            return FileExistsError(place)
        if isinstance(fault, PermissionError | boto.NoCredentialsError | boto.PartialCredentialsError):
            return VaultError(
                f"{place} is not ours to use: {fault}; {self._account} must name a key "
                f"that may read, write and list in {self._bucket}"
            )
        if isinstance(fault, boto.ReadTimeoutError | boto.ConnectTimeoutError):
            return super()._meaning(place, TimeoutError())
        refused = 300 <= status < 500 and status not in {404, *_PASSING} and code not in _DAMAGED
        if refused or status == 501 or (isinstance(fault, boto.BotoCoreError) and not isinstance(fault, _LOST)):
            return VaultError(f"{place} was refused: {fault}")
        return super()._meaning(place, fault)


@cache
def _known(paths: str | None) -> Loader:
    """What botocore knows of S3, read once in a process: a session of its own for each vault reads it anew."""
    return create_loader(paths)


def _told_by(session: AioSession, url: str) -> dict[str, Any]:
    """The words by which s3fs takes address and region from the profile of `session` alone, as it does the keys."""
    try:
        told = session.get_scoped_config()
    except boto.ProfileNotFound as error:
        raise VaultError(
            f"no way to {url}: {error}; vault.profiles names it, AWS's own files must tell of it"
        ) from None
    region = {"client_kwargs": {"region_name": told["region"]}} if "region" in told else {}
    return {"endpoint_url": told.get("endpoint_url"), **region}


def _answer(fault: Exception) -> tuple[str, int]:
    """Code and status by which the store itself refused; empty and 0 if it did not speak."""
    response = getattr(fault, "response", None) or getattr(fault.__cause__, "response", None) or {}
    status = response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return str(response.get("Error", {}).get("Code", "")), int(status)


def _piece(source: Path | bytes, start: int, size: int) -> bytes:
    if isinstance(source, bytes):
        return source[start : start + size]
    with source.open("rb") as file:
        file.seek(start)
        return file.read(size)

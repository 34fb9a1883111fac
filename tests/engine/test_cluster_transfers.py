"""The vault on a real S3 server: over a slow, lossy line all arrives, once and whole; what cannot arrive is told."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from uuid import uuid4

import pytest

from rr_engine.errors import TransferError, VaultError
from rr_engine.settings import VaultSettings
from rr_engine.vault import Vault
from rr_engine.vault.mirror import mirror
from tests.engine.proxy import Proxy, refusal
from tests.engine.servers import ROOT, serving
from tests.engine.vaults import CONFIG, put

FAST = VaultSettings(first_wait_s=0.01, at_once=64)


@pytest.fixture(scope="module")
def server():
    with serving() as address:
        yield address


@pytest.fixture
def bucket(server, tmp_path, monkeypatch):
    """A new bucket, and this process set up to use it."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": server,
        "AWS_ACCESS_KEY_ID": "a-key-for-tests",
        "AWS_SECRET_ACCESS_KEY": "a-secret-for-tests",
        "AWS_DEFAULT_REGION": "us-east-1",
        "RR_CACHE": str(tmp_path / "cache"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL_S3", raising=False)
    name = f"b{uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def vault(bucket):
    return Vault.open(f"s3://{bucket}/vault", settings=FAST)


@pytest.fixture
def behind(bucket, server, monkeypatch):
    """Opens the vault behind a proxy."""

    def open_behind(proxy, settings=FAST):
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        return Vault.open(f"s3://{bucket}/vault", settings=settings)

    return open_behind


def by_hand(bucket, name, data):
    import boto3

    boto3.client("s3").put_object(Bucket=bucket, Key=f"vault/{name}", Body=data)


class TestWhole:
    @pytest.mark.parametrize("size", [0, 1, 5 << 20, (5 << 20) + 1, 10 << 20, (15 << 20) + 7])
    def test_files_of_any_number_of_parts_come_back(self, bucket, tmp_path, size):
        vault = Vault.open(f"s3://{bucket}/vault", settings=VaultSettings(part_mib=5))
        source = tmp_path / "source"
        source.write_bytes(os.urandom(size))
        card = put(vault, source)
        assert vault.get(card) == vault.path(card).read_bytes() == source.read_bytes()
        assert vault.cards("checkpoint", CONFIG) == [card]

    def test_damage_of_any_part_is_refused(self, bucket):
        vault = Vault.open(f"s3://{bucket}/vault", settings=VaultSettings(part_mib=5))
        content = os.urandom((10 << 20) + 3)
        card = put(vault, content)
        changed = content[:-1] + bytes([content[-1] ^ 1])
        for damaged in (b"", content[:-1], changed, content + b"?", content[: 5 << 20]):
            by_hand(bucket, card.name, damaged)
            told = f"expected {card.sha256} with .* found"
            if len(damaged) > len(content):  # not read to its end
                told = f"{card.sha256}.* has more than the {len(content)} bytes that it may have"
            for read in (vault.get, vault.path):
                with pytest.raises(VaultError, match=told):
                    read(card)
        assert not vault._near.path(card.name).exists()

    def test_of_a_large_file_few_parts_are_in_memory(self, bucket, tmp_path):
        source = tmp_path / "source"
        with source.open("wb") as file:
            file.truncate(120 << 20)
        code = f"""import resource
from pathlib import Path
from rr_engine.settings import VaultSettings
from rr_engine.vault import Vault
from tests.engine.vaults import put
vault = Vault.open("s3://{bucket}/vault", settings=VaultSettings(part_mib=5))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
vault.path(put(vault, Path({str(source)!r})))
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)"""
        ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
        assert int(ran.stdout) < 100  # MiB

    def test_more_than_a_page_is_listed(self, vault):
        names = [f"games/{CONFIG}/{number:04d}" for number in range(1001)]
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda name: vault._backend._send(name, b""), names))
        assert [f"games/{CONFIG}/{last}" for last in vault._backend.names(f"games/{CONFIG}")] == names


class TestWritersAtOnce:
    def test_of_many_writers_of_a_name_one_wins(self, vault):
        with ThreadPoolExecutor(16) as pool:
            for turn in range(20):
                won = list(pool.map(lambda writer, turn=turn: self.wins(vault, turn, writer), range(16)))
                assert sum(won) == 1
                assert vault._backend.read(f"claim/{turn}") == b"%d" % won.index(True)

    @staticmethod
    def wins(vault, turn, writer):
        return vault._backend.create(f"claim/{turn}", b"%d" % writer)

    def test_a_large_file_is_created_once_too(self, bucket):
        backend = Vault.open(f"s3://{bucket}/vault", settings=VaultSettings(part_mib=5))._backend
        first, second = os.urandom(6 << 20), os.urandom(6 << 20)
        assert [backend.create("x/y", data) for data in (first, first, second)] == [True, True, False]
        assert backend.read("x/y") == first

    def test_claims_of_several_processes_share_no_seed(self, bucket, vault):
        code = f"""from rr_engine.vault import Vault
vault = Vault.open("s3://{bucket}/vault")
for _ in range(10): print(vault.claim({CONFIG!r}, 5).start)"""
        processes = [
            subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        starts = [int(line) for process in processes for line in process.communicate()[0].splitlines()]
        assert sorted(starts) == list(range(0, 150, 5))
        assert [claim.number for claim in vault.claims(CONFIG)] == list(range(30))

    def test_a_store_that_overwrites_all_the_same_is_refused(self, vault, behind, server):
        with Proxy(server, forget=b"if-none-match") as proxy:
            distant = behind(proxy)
            with pytest.raises(VaultError, match="heeds `If-None-Match"):
                distant.claim(CONFIG, 5)
        assert vault.claims(CONFIG) == []


class TestABadLine:
    def test_all_is_delivered_over_a_slow_and_lossy_line(self, vault, behind, server):
        with Proxy(server, latency_s=0.5, share=0.01, seed=5) as proxy:
            distant = behind(proxy)
            contents = [b"%d" % number + os.urandom(20_000) for number in range(160)]
            with ThreadPoolExecutor(32) as pool:
                large = pool.submit(put, distant, os.urandom(20 << 20), kind="dataset")
                claims = [pool.submit(distant.claim, CONFIG, 7) for _ in range(3)]
                cards = list(pool.map(lambda content: put(distant, content), contents))
                seeds = sorted(claim.result().start for claim in claims)
            assert set(distant.cards("checkpoint", CONFIG)) == set(cards)
        assert sum(proxy.met.values()) - proxy.met[""] >= 3
        assert seeds == [0, 7, 14]
        assert [vault.get(card) for card in cards] == contents
        assert vault.cards("dataset", CONFIG) == [large.result()]
        vault.get(large.result())
        assert [card.edition for card in vault.cards("checkpoint", CONFIG)] == [0] * len(contents)
        assert len(vault._backend.names(f"checkpoint/{CONFIG}")) == 2 * len(contents)

    def test_even_where_a_third_is_lost(self, vault, behind, server):
        with Proxy(server, share=0.33, seed=7) as proxy:
            distant = behind(proxy, VaultSettings(first_wait_s=0.01, attempts=20, part_mib=5))
            large = put(distant, os.urandom(12 << 20))
            with ThreadPoolExecutor(8) as pool:
                list(pool.map(lambda _: distant.write_pointer(large), range(12)))
        assert min(proxy.met.values()) > 0
        assert [pointer.number for pointer in vault.pointers(CONFIG)] == list(range(12))
        assert vault.cards("checkpoint", CONFIG) == [large]
        vault.get(large)

    @pytest.mark.parametrize("how", ["stall", "dribble"])
    def test_what_never_ends_is_ended(self, vault, behind, server, how):
        card = put(vault, os.urandom(4000))
        with Proxy(server, **{how: True}) as proxy:
            distant = behind(proxy, VaultSettings(timeout_s=0.3, attempts=2, first_wait_s=0.01))
            for use in (
                lambda: distant.get(card),
                lambda: put(distant, b"more"),
                lambda: distant.cards("games", CONFIG),
            ):
                began = time.monotonic()
                with pytest.raises(TransferError, match=r"s3://.*(checkpoint|games)/.* took more than 0.3 s"):
                    use()
                assert 0.6 < time.monotonic() - began < 6

    def test_nobody_at_the_address_is_told(self, bucket, monkeypatch):
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        vault = Vault.open(f"s3://{bucket}/vault", settings=VaultSettings(attempts=2, first_wait_s=0.01))
        with pytest.raises(TransferError, match=r"games/hex8_2p could not be reached: .*127.0.0.1:9"):
            vault.cards("games", CONFIG)


class TestRefusals:
    @pytest.mark.parametrize(
        ("answer", "error", "tries", "says"),
        [
            (refusal(403, "AccessDenied"), VaultError, 1, "not ours to use.*AWS_ACCESS_KEY_ID"),
            (refusal(403, "InvalidAccessKeyId"), VaultError, 1, "not ours to use"),
            (refusal(403, "SignatureDoesNotMatch"), VaultError, 1, "not ours to use"),
            (refusal(404, "NoSuchBucket"), VaultError, 1, "there is no bucket"),
            (refusal(400, "InvalidRequest", "what?"), VaultError, 1, "was refused: .*what"),
            (refusal(501, "NotImplemented"), VaultError, 1, "was refused"),
            (refusal(400, "IncompleteBody"), TransferError, 3, "could not be reached"),
            (refusal(409, "OperationAborted"), TransferError, 3, "could not be reached"),
            (refusal(429, "TooManyRequests"), TransferError, 3, "could not be reached"),
            (refusal(500, "InternalError"), TransferError, 3, "could not be reached"),
            (refusal(503, "SlowDown"), TransferError, 3, "could not be reached"),
            (refusal(503), TransferError, 3, "could not be reached"),
            (b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 5\r\n\r\n<html", TransferError, 3, "could not be reached"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n<Lis", TransferError, 3, "could not be reached"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n<Lis", TransferError, 3, "could not be reached"),
            (b"what is this\r\n\r\n", TransferError, 3, "could not be reached"),
        ],
    )
    def test_what_a_store_says_is_told_and_tried_again_where_that_can_help(
        self, behind, server, answer, error, tries, says
    ):
        with Proxy(server, answer=answer) as proxy:
            distant = behind(proxy, VaultSettings(attempts=3, first_wait_s=0.01, timeout_s=5))
            with pytest.raises(VaultError, match=f"(?s)s3://.*games.*{says}") as refused:
                distant.cards("games", CONFIG)
            assert type(refused.value) is error
            assert proxy.asked == {"GET": tries}
            with pytest.raises(VaultError) as refused:
                put(distant)
            assert "secret" not in str(refused.value)
            assert "a-key" not in str(refused.value)

    def test_without_keys_it_is_said_which(self, bucket, monkeypatch, tmp_path):
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.delenv(name)
        monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
        with pytest.raises(VaultError, match="Unable to locate credentials; AWS_ACCESS_KEY_ID and"):
            Vault.open(f"s3://{bucket}/vault").cards("games", CONFIG)

    def test_the_address_may_be_for_s3_alone(self, vault, server, monkeypatch):
        card = put(vault)
        monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", server)
        assert Vault.open(vault.url).get(card) == b"weights"

    def test_keys_are_in_nothing_that_is_written_or_shown(self, vault, bucket, tmp_path):
        import boto3

        card = put(vault)
        vault.write_pointer(card)
        vault.cards("checkpoint", CONFIG)
        vault.path(card)
        store = boto3.client("s3")
        names = [entry["Key"] for entry in store.list_objects_v2(Bucket=bucket)["Contents"]]
        written = [store.get_object(Bucket=bucket, Key=name)["Body"].read() for name in names]
        written += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
        shown = [repr(card), vault.url, repr(vault), repr(vault._backend), vault.capacity().reason, *names]
        assert len(written) > 5
        for key in (os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]):
            assert not any(key in text for text in shown)
            assert not any(key.encode() in data for data in written)

    @pytest.mark.parametrize("address", ["http://a:secret@127.0.0.1:9", "a:secret@host", "rubbish"])
    def test_an_address_of_the_store_with_keys_or_none_at_all_is_refused(self, bucket, monkeypatch, address):
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with pytest.raises(VaultError, match="AWS_ENDPOINT_URL must") as refused:
            Vault.open(f"s3://{bucket}/vault")
        assert "secret" not in str(refused.value)


def test_what_is_known_of_s3_is_read_once(bucket, monkeypatch):
    Vault.open(f"s3://{bucket}/vault")
    monkeypatch.setattr("botocore.loaders.JSONFileLoader.load_file", lambda *_: pytest.fail("read once more"))
    Vault.open(f"s3://{bucket}/another")


class TestAnotherProvider:
    PROFILES = {"s3://backup": "elsewhere"}

    @pytest.fixture
    def profile(self, tmp_path, monkeypatch):
        """Writes the profile of the other provider, with keys of its own."""
        monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))

        def write(address):
            keys = "aws_access_key_id = another-key\naws_secret_access_key = another-secret\n"
            text = f"[profile elsewhere]\nendpoint_url = {address}\nregion = eu-west-1\n{keys}"
            (tmp_path / "config").write_text(text)

        return write

    def test_its_address_and_keys_come_from_a_profile_and_those_of_the_first_stay_away_from_it(
        self, vault, server, behind, profile
    ):
        import boto3

        card = put(vault)
        vault.write_pointer(card)
        settings = replace(FAST, profiles=self.PROFILES)
        with serving() as elsewhere, Proxy(server) as first, Proxy(elsewhere) as second:
            profile(second.url)
            boto3.session.Session(profile_name="elsewhere").client("s3", endpoint_url=elsewhere).create_bucket(
                Bucket="backup", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
            )
            source, target = behind(first, settings), Vault.open("s3://backup/vault", settings=settings)
            assert mirror(source, target).problems == []
            assert target.get(target.card("checkpoint", CONFIG, card.sha256)) == b"weights"
            assert first.keys == {"a-key-for-tests"}
            assert second.keys == {"another-key"}
        with serving() as empty:
            profile(empty)
            with pytest.raises(VaultError, match="there is no bucket backup"):
                Vault.open("s3://backup/vault", settings=settings).cards("checkpoint", CONFIG)

    @pytest.mark.usefixtures("bucket")
    def test_a_profile_that_is_not_there_or_says_nonsense_is_told(self, profile):
        settings = VaultSettings(profiles=self.PROFILES)
        with pytest.raises(VaultError, match=r"no way to s3://backup/vault: .*elsewhere.*; vault.profiles names it"):
            Vault.open("s3://backup/vault", settings=settings)
        profile("rubbish")
        with pytest.raises(VaultError, match="endpoint_url of profile elsewhere must be"):
            Vault.open("s3://backup/vault", settings=settings)


class TestNear:
    def test_cards_are_read_once_on_a_machine(self, vault, behind, server):
        cards = [put(vault, b"%d" % number) for number in range(30)]
        vault.write_pointer(cards[0])
        with Proxy(server) as proxy:
            assert behind(proxy).cards("checkpoint", CONFIG) == cards
            assert proxy.asked["GET"] == 31
            assert behind(proxy).cards("checkpoint", CONFIG) == cards
            assert proxy.asked["GET"] == 32
            newest = put(vault, b"new")
            assert behind(proxy).cards("checkpoint", CONFIG) == [*cards, newest]
            assert proxy.asked["GET"] == 34
            assert behind(proxy).pointer(CONFIG) == behind(proxy).pointer(CONFIG) == vault.pointer(CONFIG)
            assert proxy.asked["GET"] == 37

    @pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda _: b"", lambda data: data.replace(b"t", b"T")])
    def test_a_damaged_copy_of_a_card_is_read_anew(self, vault, damage):
        card = put(vault)
        vault.cards("checkpoint", CONFIG)
        [copy] = vault._near.root.glob(f".records/*/{card.place}")
        whole = copy.read_bytes()
        copy.write_bytes(damage(whole))
        assert Vault.open(vault.url).cards("checkpoint", CONFIG) == [card]
        assert copy.read_bytes() == whole

    def test_a_card_that_is_another_in_the_store_is_read_anew(self, vault, bucket):
        card = put(vault)
        assert vault.cards("checkpoint", CONFIG) == [card]
        by_hand(bucket, card.place, b"{}")
        with pytest.raises(VaultError, match="is not a card"):
            Vault.open(vault.url).cards("checkpoint", CONFIG)

    def test_where_no_copy_can_be_kept_cards_are_read_all_the_same(self, vault, monkeypatch, tmp_path):
        card = put(vault)
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("RR_CACHE", str(tmp_path / "file"))
        assert Vault.open(vault.url).cards("checkpoint", CONFIG) == [card]

    def test_bandwidth_is_kept_both_ways(self, bucket):
        limits = {"s3://": 1000.0, f"s3://{bucket}": 1.0}
        vault = Vault.open(f"s3://{bucket}/vault", settings=VaultSettings(bandwidth_mb_s=limits))
        began = time.monotonic()
        card = put(vault, os.urandom(500_000))  # and read back
        sent = time.monotonic() - began
        vault.get(card)
        assert 1.0 < sent < 4.0
        assert 0.5 < time.monotonic() - began - sent < 2.0

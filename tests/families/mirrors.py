"""A selection by a fixed value, and templates: of a release's files the one for Linux is mirrored under a new name.

What makes it hard: the address is put together of four values, one of them deep inside a result, and the first file
often is the right one.
"""

from typing import Any

from pydantic import BaseModel

import agentkit as ak
from families.case import Case, Entities
from families.play import Dice, Turns, Use, play, use
from families.pool import Pool
from families.world import World, Write

DETERMINED = True

PLATFORMS = ("linux", "macos", "windows", "freebsd")


class Request(BaseModel):
    """What comes in."""

    repo: str
    tag: str


class Mirrored(BaseModel):
    """A file that was mirrored."""

    url: str
    sha256: str


@ak.tool
def get_release(repo: str, tag: str, ctx: ak.Context) -> dict[str, Any]:
    """Look up one release. Returns who made it and its files, one a platform, in no order.

    Args:
        repo: owner and name, for example "amber/birch".
        tag: the release's tag, for example "v3.1.24".
    """
    return ctx.deps.read("releases", repo, tag)


@ak.tool
def get_signer(login: str, ctx: ak.Context) -> dict[str, Any]:
    """Look up who signs releases. Returns the fingerprint of the key.

    Args:
        login: the account, for example "ada-berg".
    """
    return ctx.deps.read("signers", login)


@ak.tool(writes=True)
def mirror(url: str, sha256: str, path: str, signed_by: str, ctx: ak.Context) -> dict[str, str]:
    """Copy a file to the mirror. Returns where it is then.

    Args:
        url: where it is now, for example "https://files.example/amber/birch/v3.1.24/birch-linux.tar.gz".
        sha256: what it has to be, 16 hex digits here.
        path: where it goes, for example "birch/v3.1.24/birch-linux.tar.gz".
        signed_by: the fingerprint of the key, for example "KEY-20482".
    """
    ctx.deps.write("mirror", url=url, sha256=sha256, path=path, signed_by=signed_by)
    return {"url": f"https://mirror.example/{path}", "sha256": sha256}


TOOLS = [get_release, get_signer, mirror]


def new_agent(model: object) -> ak.Agent:
    """The agent that settles such requests."""
    return ak.Agent("mirrors", model, "Mirror the release's file for Linux.", tools=TOOLS, output=Mirrored)


def plan(given: dict, _dice: Dice) -> Turns:
    """How a request is settled."""
    release = yield use(get_release, repo=given["repo"], tag=given["tag"])
    signer = yield use(get_signer, login=release["author"]["login"])
    (file,) = [file for file in release["files"] if file["platform"] == "linux"]
    url = f"https://files.example/{given['repo']}/{given['tag']}/{file['name']}"
    path = f"{release['project']}/{given['tag']}/{file['name']}"
    done = yield use(mirror, url=url, sha256=file["sha256"], path=path, signed_by=signer["key"]["fingerprint"])
    return Mirrored(**done)


def idle(given: dict) -> list[Use]:
    """What a model might look at without need."""
    return [use(get_release, repo=given["repo"], tag="latest")]


def policy(noise: float = 0.0, seed: int = 0, seconds: float = 0.0) -> object:
    """A model that settles such requests."""
    return play(plan, idle=idle, noise=noise, seed=seed, seconds=seconds)


def case(seed: int, entities: Entities) -> Case:
    """A random request."""
    pool = Pool("mirrors", seed, entities)
    project, tag = pool.word(), f"v{pool.random.randint(0, 9)}.{pool.number(1, 40)}.{pool.number(41, 99)}"
    repo = f"{pool.word()}/{project}"
    others = pool.random.sample(PLATFORMS[1:], pool.random.randint(0, 3))
    files = [_file(pool, project, platform) for platform in pool.shuffled(["linux", *others])]
    login = pool.name().lower().replace(" ", "-")
    key = pool.id("KEY-")
    release = {
        "project": project,
        "author": {"login": login, "id": pool.number(1000, 9999)},
        "files": files,
        "draft": False,
    }
    latest = {**release, "files": []}
    signer = {"login": login, "key": {"fingerprint": key, "kind": pool.choice(["ed25519", "rsa"])}}
    world = World({"releases": {(repo, tag): release, (repo, "latest"): latest}, "signers": {login: signer}})
    (meant,) = [file for file in files if file["platform"] == "linux"]
    path = f"{project}/{tag}/{meant['name']}"
    url = f"https://files.example/{repo}/{tag}/{meant['name']}"
    write = {"url": url, "sha256": meant["sha256"], "path": path, "signed_by": key}
    output = {"url": f"https://mirror.example/{path}", "sha256": meant["sha256"]}
    return Case(Request(repo=repo, tag=tag).model_dump(), world, [Write("mirror", write)], output)


def _file(pool: Pool, project: str, platform: str) -> dict[str, Any]:
    return {
        "name": f"{project}-{platform}.tar.gz",
        "platform": platform,
        "sha256": f"{pool.number(1 << 60, 1 << 64):016x}",
        "bytes": pool.number(1000, 99999),
    }


agent = new_agent(policy())

"""The commit is read as git reports it, from every form of repository, and git itself does not run."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from attendet.utils.git_commit import read_commit

COMMIT = "0123456789abcdef0123456789abcdef01234567"

needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="needs git to compare with")


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"]
    command = ["git", "-C", str(folder), *identity, *arguments]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout.strip()  # noqa: S603


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


@needs_git
def test_every_form_of_repository(repository: Path, tmp_path: Path) -> None:
    def check(folder: Path) -> None:
        assert read_commit(folder) == git(folder, "rev-parse", "HEAD")

    check(repository)
    (repository / "deep" / "er").mkdir(parents=True)
    check(repository / "deep" / "er")
    git(repository, "commit", "-q", "--allow-empty", "-m", "second")
    check(repository)
    git(repository, "pack-refs", "--all")
    assert not (repository / ".git" / "refs" / "heads" / "main").exists()
    check(repository)
    git(repository, "worktree", "add", "-q", "-b", "topic/b", str(tmp_path / "tree"), "HEAD~1")
    check(tmp_path / "tree")
    git(tmp_path / "tree", "pack-refs", "--all")
    check(tmp_path / "tree")
    git(repository, "checkout", "-q", "--detach", "HEAD~1")
    check(repository)
    (tmp_path / "link").symlink_to(repository / "deep")
    check(tmp_path / "link")


@needs_git
def test_git_does_not_run(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = git(repository, "rev-parse", "HEAD")
    canary = tmp_path / "canary"
    spy = tmp_path / "bin" / "git"
    spy.parent.mkdir()
    spy.write_text(f"#!/bin/sh\ntouch {canary}\n")
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{spy.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    config = repository / ".git" / "config"
    config.write_text(config.read_text() + f"[core]\n\tfsmonitor = touch {canary}\n\tpager = touch {canary}\n")
    assert read_commit(repository) == expected
    assert not canary.exists()


@pytest.mark.parametrize(
    "head",
    [
        "",
        "ref: refs/heads/none",
        "ref: ../../secret",
        "ref: refs/../../secret",
        "not a commit",
        "ref: /etc/passwd",
        "\0",
    ],
)
def test_an_unknown_commit_gives_none(tmp_path: Path, head: str) -> None:
    (tmp_path / "a" / ".git").mkdir(parents=True)
    (tmp_path / "a" / ".git" / "HEAD").write_text(head)
    (tmp_path / "secret").write_text(COMMIT)
    assert read_commit(tmp_path / "a") is None


def test_hostile_files_are_neither_waited_for_nor_read_completely(tmp_path: Path) -> None:
    (tmp_path / "a" / ".git").mkdir(parents=True)
    head = tmp_path / "a" / ".git" / "HEAD"
    os.mkfifo(head)
    assert read_commit(tmp_path / "a") is None
    head.unlink()
    head.symlink_to("/dev/zero")
    assert read_commit(tmp_path / "a") is None
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / ".git").write_text("gitdir: /dev")
    assert read_commit(tmp_path / "b") is None


def test_a_folder_outside_a_repository_has_no_commit(tmp_path: Path) -> None:
    assert read_commit(tmp_path) is None

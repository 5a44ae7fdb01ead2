"""Whether a folder is on a network file system, where locks and syncs may mean less than they say."""

import ctypes
import os
import re
import subprocess
import sys
from pathlib import Path

NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|afp\w*|9p|ncpfs|afs|ceph|gluster\w*|lustre|gpfs|fuse\.(sshfs|s3fs|gcsfuse|rclone|.*fs)|webdav|davfs2?"
)


def network_file_system(path: Path, mounts: str | None = None) -> str | None:
    """The kind of network file system that a path is on.

    Args:
        path: an existing folder.
        mounts: the system's list of mounts, for tests: lines as in /proc/mounts.

    Returns:
        For example "nfs4"; None where the path is local, or nobody can tell.
    """
    if sys.platform == "win32" and mounts is None:
        return _windows(path)
    kind = _kind(path.resolve(), _mounts() if mounts is None else mounts)
    return kind if kind is not None and NETWORK.fullmatch(kind) else None


def _kind(path: Path, mounts: str) -> str | None:
    """The file system of the longest mount point that is above the path; of two at one place the later one counts."""
    found, longest = None, -1
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        point = Path(re.sub(r"\\(\d{3})", lambda code: chr(int(code[1], 8)), fields[1]))
        if (point == path or point in path.parents) and len(point.parts) >= longest:
            found, longest = fields[2], len(point.parts)
    return found


def _mounts() -> str:
    """The mounts as lines "device point kind"; empty where the system does not say."""
    try:
        return Path("/proc/mounts").read_text("utf-8")
    except OSError:
        pass
    try:  # macOS: "//host/share on /Volumes/share (smbfs, nodev)"
        listed = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    pattern = re.compile(r"^(\S.*?) on (/.*?) \((\w+)", re.MULTILINE)
    return "\n".join(f"- {point.replace(' ', chr(92) + '040')} {kind}" for _, point, kind in pattern.findall(listed))


def _windows(path: Path) -> str | None:
    drive = os.path.splitdrive(path.resolve())[0] + "\\"
    windll = getattr(ctypes, "windll", None)
    remote = windll is not None and windll.kernel32.GetDriveTypeW(drive) == 4  # DRIVE_REMOTE
    return "a network drive" if remote or drive.startswith("\\\\") else None

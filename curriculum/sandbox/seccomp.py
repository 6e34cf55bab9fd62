"""A filter of system calls, by libseccomp: what namespaces and limits do not cover.

Of sockets only those of Unix remain: a network namespace does not hold back others, such as AF_VSOCK to the host of a
virtual machine. Shared memory that no limit counts, tracing, keyrings, BPF and new namespaces are refused (EPERM).
Everything else passes, since the filter is the second wall, not the first.
"""

import ctypes
import ctypes.util
import errno
import socket
import tempfile
from functools import cache

from perdure.budget.errors import ConfigError

ALLOW, FAIL = 0x7FFF0000, 0x00050000
NOT_EQUAL, MASKED_EQUAL = 1, 7
NEW_NAMESPACES = (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000)
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
REFUSED = (
    "shmget shmat msgget semget memfd_create memfd_secret mq_open",
    "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd process_madvise",
    "bpf perf_event_open userfaultfd io_uring_setup io_uring_enter io_uring_register",
    "add_key keyctl request_key",
    "unshare setns mount umount2 pivot_root chroot move_mount open_tree fsopen fsmount fspick fsconfig mount_setattr",
    "open_by_handle_at name_to_handle_at quotactl swapon swapoff reboot",
    "init_module finit_module delete_module kexec_load kexec_file_load acct settimeofday clock_settime adjtimex syslog",
)


class _Compare(ctypes.Structure):
    """`struct scmp_arg_cmp`."""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


@cache
def program() -> bytes:
    """The filter for the kernel.

    Raises:
        ConfigError: libseccomp is not there, or fails.
    """
    name = ctypes.util.find_library("seccomp") or "libseccomp.so.2"
    try:
        library = ctypes.CDLL(name)
    except OSError:
        raise ConfigError("the sandbox needs the library libseccomp: apt install libseccomp2") from None
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(ALLOW))
    failed = sum(_refuse(library, context, name) for row in REFUSED for name in row.split())
    failed += _refuse(library, context, "clone3", error=errno.ENOSYS)  # glibc then takes `clone`, which can be read
    failed += _refuse(library, context, "socket", _Compare(0, NOT_EQUAL, socket.AF_UNIX, 0))
    failed += _refuse(library, context, "socketpair", _Compare(0, NOT_EQUAL, socket.AF_UNIX, 0))
    for flag in NEW_NAMESPACES:
        failed += _refuse(library, context, "clone", _Compare(0, MASKED_EQUAL, flag, flag))
    with tempfile.TemporaryFile() as file:
        failed += library.seccomp_export_bpf(context, file.fileno()) != 0
        library.seccomp_release(context)
        file.seek(0)
        if failed:
            raise ConfigError(f"libseccomp ({name}) cannot make {failed} rules of the sandbox; update it")
        return file.read()


def _refuse(
    library: ctypes.CDLL, context: ctypes.c_void_p, call: str, *compare: _Compare, error: int = errno.EPERM
) -> bool:
    """Add one rule; true if that fails. Calls that this processor or library does not know cannot be made either."""
    number = library.seccomp_syscall_resolve_name(call.encode())
    if number == -1:
        return False
    rules = (_Compare * len(compare))(*compare)
    action = ctypes.c_uint32(FAIL | error)
    return bool(library.seccomp_rule_add_array(context, action, number, len(compare), rules))

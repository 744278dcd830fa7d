//go:build unix

package pyhost

import (
	"errors"
	"os/exec"
	"syscall"
)

// family is the Python process with what packs have started: a process group.
type family struct{ cmd *exec.Cmd }

// newFamily puts the process that cmd will start into a group of its own: Ctrl-C in a terminal is ours to pass on.
func newFamily(cmd *exec.Cmd) *family {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return &family{cmd}
}

func (*family) started() {}

// as makes the process run as a user. newFamily comes first.
func (u *User) as(cmd *exec.Cmd) {
	if u != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: u.uid, Gid: u.gid, Groups: u.groups}
	}
}

// kill ends the process and its children.
func (f *family) kill() {
	if f.cmd.Process != nil {
		_ = syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL) // gone already is as good
	}
}

func (*family) release() {}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || !errors.Is(err, syscall.ESRCH)
}

// openFlags keep a file that the process has put there from leading elsewhere, and one that is a pipe from holding us up.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

//go:build unix

package pyhost

import (
	"errors"
	"os/exec"
	"syscall"
)

// ownGroup puts the process into a group of its own: Ctrl-C in a terminal is ours to pass on, and what packs start ends with it.
func ownGroup(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

// as makes the process run as a user. ownGroup comes first.
func (u *User) as(cmd *exec.Cmd) {
	if u != nil {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: u.uid, Gid: u.gid, Groups: u.groups}
	}
}

// killTree ends the process and what it has started.
func killTree(cmd *exec.Cmd) {
	if cmd.Process != nil {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // gone already is as good
	}
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || !errors.Is(err, syscall.ESRCH)
}

// openFlags keep a file that the process has put there from leading elsewhere, and one that is a pipe from holding us up.
const openFlags = syscall.O_NOFOLLOW | syscall.O_NONBLOCK

package app

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends a process together with its parent, however that ends, and keeps the terminal's Ctrl-C from it: the parent
// stops it.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}

package app

import (
	"os/exec"
	"syscall"
)

// dieWithParent ends a process with the one that has started it, however that ends, and keeps the terminal's Ctrl-C from it: the parent
// tells it to stop.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}

package main

import (
	"context"
	"fmt"
	"net"
	"path/filepath"
	"strings"

	"comfygo/internal/apiclient"
)

// fastest are ComfyUI's flags for its fastest form in float32 on a CPU.
const fastest = "--cpu --force-fp32 --fp32-vae --fp32-text-enc --use-pytorch-cross-attention --preview-method none"

// side is one of the programs.
type side struct {
	name    string
	command []string // to which --port and --base-directory are added
	// interruptible reports that the program ends with an error status when it is interrupted.
	interruptible bool
}

// sides lists the programs that are measured, this one first.
func (o options) sides() []side {
	flags := strings.Fields(o.serverFlags)
	list := []side{{name: "comfygo", command: append([]string{o.server}, flags...)}}
	if o.baseline != "" {
		list = append(list, side{name: "baseline", command: append([]string{o.baseline}, flags...)})
	}
	if o.comfyui != "" {
		command := []string{"env", "OMP_NUM_THREADS=1", o.python, filepath.Join(o.comfyui, "main.py"), "--disable-auto-launch"}
		list = append(list, side{name: "ComfyUI", command: append(command, strings.Fields(o.comfyuiFlags)...), interruptible: true})
	}
	return list
}

// start runs a program over a base folder, on the one CPU. The commands before it (taskset, env) become the program
// in the same process, so that its process id is the server's.
func (o options) start(ctx context.Context, s side, base string) (*apiclient.Process, error) {
	port, err := freePort(ctx)
	if err != nil {
		return nil, err
	}
	command := append([]string{}, s.command...)
	if o.cpu >= 0 {
		command = append([]string{"taskset", "-c", fmt.Sprint(o.cpu)}, command...)
	}
	command = append(command, "--port", fmt.Sprint(port), "--base-directory", base)
	return apiclient.Start(ctx, nil, command[0], command[1:]...)
}

// freePort returns a port that nothing listens on.
func freePort(ctx context.Context) (int, error) {
	var c net.ListenConfig
	l, err := c.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("looking for a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

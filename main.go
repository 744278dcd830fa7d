// Command comfygo is a ComfyUI server in Go: the same addresses, messages, workflows, model files,
// flags and images, with the models run by ONNX Runtime.
package main

import (
	"context"
	"os"

	"comfygo/app"
	"comfygo/cli"
)

func main() {
	commands := app.Command{Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr}
	os.Exit(cli.Main(context.Background(), os.Args[1:], os.Stdout, os.Stderr, commands.Handlers()))
}

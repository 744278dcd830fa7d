// Command demo makes a first image: it starts the server on a free port with the built-in model,
// queues the example workflow over the API, shows the progress from the WebSocket, saves the image
// and stops.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image/png"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"comfygo/demo"
	"comfygo/internal/apiclient"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, out io.Writer) (err error) {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	binary := flags.String("server", "bin/comfygo", "the program to start")
	save := flags.String("output", "output", "folder for the image")
	limit := flags.Duration("timeout", 5*time.Minute, "give up after this time")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, *limit)
	defer cancel()
	folder, err := filepath.Abs(*save)
	if err != nil {
		return err
	}
	base, err := os.MkdirTemp("", "comfygo-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(base)) }()

	began := time.Now()
	server, err := apiclient.Start(ctx, nil, *binary, "--demo-model", "--port", "0",
		"--base-directory", base, "--output-directory", folder)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, server.Stop(10*time.Second)) }()
	fmt.Fprintf(out, "server   %s (started in %.2f s)\n", server.URL, time.Since(began).Seconds())
	return makeImage(ctx, out, &apiclient.Client{Base: server.URL}, folder)
}

// makeImage runs the example workflow and checks that its image is one.
func makeImage(ctx context.Context, out io.Writer, client *apiclient.Client, folder string) error {
	var workflow map[string]struct {
		Class  string         `json:"class_type"`
		Inputs map[string]any `json:"inputs"`
	}
	if err := json.Unmarshal(demo.Workflow, &workflow); err != nil {
		return fmt.Errorf("reading the example workflow: %w", err)
	}
	const name = "demo"
	socket, err := client.Dial(ctx, name)
	if err != nil {
		return err
	}
	defer socket.Close()
	fmt.Fprintf(out, "prompt   %q, 64x64\n", workflow["6"].Inputs["text"])
	began := time.Now()
	result, err := client.Follow(ctx, socket, name, json.RawMessage(demo.Workflow), func(m apiclient.Message) {
		show(out, m, func(id string) string { return workflow[id].Class })
	})
	if err != nil {
		return err
	}
	if f := result.Failure(); f != nil {
		return fmt.Errorf("node %s (%s) failed: %s", f.NodeID, f.NodeType, f.Message)
	}
	files := result.Files("9", "images")
	if len(files) == 0 {
		return errors.New("the prompt left no image")
	}
	data, err := client.View(ctx, files[0])
	if err != nil {
		return err
	}
	pic, err := png.Decode(bytes.NewReader(data))
	if err != nil {
		return fmt.Errorf("reading the image: %w", err)
	}
	fmt.Fprintf(out, "image    %s (%dx%d, %.1f s)\n", filepath.Join(folder, files[0].Subfolder, files[0].Name),
		pic.Bounds().Dx(), pic.Bounds().Dy(), time.Since(began).Seconds())
	fmt.Fprintf(out, "address  %s/view?filename=%s&type=output\n", client.Base, files[0].Name)
	return nil
}

// show prints one message of a prompt.
func show(out io.Writer, m apiclient.Message, class func(id string) string) {
	switch m.Type {
	case "executing":
		var node struct{ Node string }
		if err := json.Unmarshal(m.Data, &node); err == nil && node.Node != "" {
			fmt.Fprintf(out, "node     %s %s\n", node.Node, class(node.Node))
		}
	case "progress":
		var p apiclient.Progress
		if err := json.Unmarshal(m.Data, &p); err == nil {
			fmt.Fprintf(out, "step     %d/%d\n", p.Value, p.Max)
		}
	}
}

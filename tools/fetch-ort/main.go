// Command fetch-ort finds the ONNX Runtime library or downloads it to the user's cache, and prints its
// path.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"comfygo/internal/ortlib"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "fetch-ort:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	var o ortlib.Options
	flags := flag.NewFlagSet("fetch-ort", flag.ContinueOnError)
	flags.StringVar(&o.Path, "onnxruntime", "", "use this library (or the one in this folder)")
	flags.BoolVar(&o.CUDA, "cuda", false, "the build for NVIDIA GPUs (needs CUDA 13 and cuDNN 9)")
	flags.StringVar(&o.Cache, "cache", "", "folder that fetched libraries go to")
	flags.StringVar(&o.Release, "release", ortlib.DefaultRelease, "page below which the project's release archives lie")
	flags.StringVar(&o.ReleaseSHA256, "release-sha256", "", "checksum of the release archive, needed when it has to come from there")
	only := flags.Bool("print", false, "print nothing but the path, and fetch nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *only {
		path, err := ortlib.Find(o)
		if err == nil {
			fmt.Println(path)
		}
		return err
	}
	o.Log = func(line string) { fmt.Fprintln(os.Stderr, line) }
	path, err := ortlib.Ensure(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stderr, "onnxruntime: using", path)
	if o.CUDA {
		fmt.Fprintln(os.Stderr, "onnxruntime: this build needs the NVIDIA driver, CUDA 13 (cudart, cublas, curand) and, for fast convolutions, cuDNN 9")
	}
	fmt.Println(path)
	return nil
}

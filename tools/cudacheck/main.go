// Command cudacheck writes the graphs of all model families for CUDA, without a GPU, in all types of weights and
// activations, and fails for operators that CUDA has no kernel for and for graphs that differ from the stored ones.
//
//	go run ./tools/cudacheck [-write]
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"

	"comfygo/engine/family"
	_ "comfygo/engine/family/all"
	"comfygo/internal/golden"
	"comfygo/tests/cudacheck"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	write := flag.Bool("write", false, "store the graphs' digests and numbers of operators")
	flag.Parse()
	err := run(ctx, *write)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cudacheck:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, write bool) error {
	root, err := golden.Root()
	if err != nil {
		return err
	}
	r, err := cudacheck.Whole(ctx, family.Default, root)
	if err != nil {
		return err
	}
	for _, p := range r.Problems {
		fmt.Println(p)
	}
	fmt.Printf("%d samples, %d networks in each type: %d problems\n", len(r.Found), r.Graphs, len(r.Problems))
	if len(r.Problems) > 0 {
		return fmt.Errorf("%d problems", len(r.Problems))
	}
	path, text := filepath.Join(root, filepath.FromSlash(cudacheck.File)), cudacheck.Format(r.Found)
	if write {
		return os.WriteFile(path, []byte(text), 0o644) //nolint:gosec // a file of the project
	}
	old, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if string(old) != text {
		return fmt.Errorf("%s does not describe these graphs: run make cuda-check ARGS=-write and look at what changes", cudacheck.File)
	}
	return nil
}

// Command goldencheck runs a folder of goldens, results that ComfyUI computed, through the engine and reports what differs.
//
//	go run ./tools/goldencheck -golden tests/testdata/golden
//
// It prints a line for each golden that failed or is not available, with the reason, and "N passed, M failed, K not
// available" last. The exit status is 1 when a golden failed, 2 when the folder could not be run. Checkpoints are made from
// the manifests in -models into the cache of the tests ($COMFYGO_TEST_CACHE, or comfygo/testdata in the user's cache folder).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"

	"comfygo/engine"
	"comfygo/internal/goldencheck"
	"comfygo/internal/ortlib"
	_ "comfygo/nodes/all" // schedules are made by nodes
)

// heldBytes bounds the weights that are held ready between goldens.
const heldBytes = 1 << 30

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	fs := flag.NewFlagSet("goldencheck", flag.ContinueOnError)
	fs.SetOutput(errOut)
	o := goldencheck.Options{}
	fs.StringVar(&o.Golden, "golden", "tests/testdata/golden", "`folder` of goldens")
	fs.StringVar(&o.Models, "models", "", "`folder` of checkpoint manifests (default: models in the folder of goldens)")
	fs.StringVar(&o.Only, "only", "", "run only files, or folders, whose name matches this `pattern`, such as 'forward/sd*' or text")
	verbose := fs.Bool("v", false, "print goldens that pass, too, with how far off they are")
	if err := fs.Parse(args); err != nil {
		return 2
	}
	if fs.NArg() > 0 {
		fmt.Fprintln(errOut, "goldencheck: unexpected argument", fs.Arg(0))
		return 2
	}
	o.Report = func(r goldencheck.Result) {
		if r.State != goldencheck.Passed || *verbose {
			fmt.Fprintf(out, "%s: %s: %s\n", r.State, r.Golden, r.Detail)
		}
	}
	if o.Models == "" {
		o.Models = filepath.Join(o.Golden, "models")
	}
	o.Runtime = engine.New(engine.Config{
		Library:    func() (string, error) { return ortlib.Find(ortlib.Options{}) },
		Embeddings: goldencheck.Embeddings(ctx, o.Models),
		Budget:     heldBytes,
		Log:        slog.New(slog.NewTextHandler(errOut, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	tally, err := goldencheck.Run(ctx, o)
	err = errors.Join(err, o.Runtime.Close())
	fmt.Fprintln(out, tally)
	if err != nil {
		fmt.Fprintln(errOut, "goldencheck:", err)
		return 2
	}
	return min(tally.Failed, 1)
}

// Command release makes the archives of a release: for each target the stripped program with its licences and examples, their
// SHA-256 sums and a software bill of materials (CycloneDX).
//
// The program has C code, so that other targets than this machine's need a C cross compiler: zig (a `zig` on PATH, or
// `python3 -m ziglang`). A target that cannot be built is named at the end and fails the run, unless it is of -optional.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release holds the contents of the archives.
type release struct {
	out     string
	version string
	commit  string
	date    time.Time // of the commit; every file of an archive carries it
	cc      []string  // zig's command, or nil
}

func run(ctx context.Context, args []string) error {
	var r release
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.out, "out", "dist", "folder for the archives")
	flags.StringVar(&r.version, "version", "", "version (default: the newest tag, else 0.1.0-dev)")
	targets := flags.String("targets", runtime.GOOS+"/"+runtime.GOARCH, "GOOS/GOARCH, separated by commas")
	optional := flags.String("optional", "", "further targets, which may fail")
	notices := flags.Bool("notices", false, "print the third-party notices and build nothing")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if *notices {
		return printNotices(ctx, os.Stdout)
	}
	if err := r.describe(ctx); err != nil {
		return err
	}
	r.cc = findZig()
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	var made, failed []string
	var errs []error
	must := strings.Split(*targets, ",")
	for _, t := range slices.Concat(must, strings.FieldsFunc(*optional, func(c rune) bool { return c == ',' })) {
		fmt.Fprintf(os.Stderr, "release: building for %s\n", t)
		files, err := r.target(ctx, t)
		if err != nil {
			failed = append(failed, fmt.Sprintf("%s: %v", t, err))
			if slices.Contains(must, t) {
				errs = append(errs, fmt.Errorf("building for %s: %w", t, err))
			}
			continue
		}
		made = append(made, files...)
	}
	if len(made) > 0 {
		if err := writeSums(r.out, made); err != nil {
			return err
		}
	}
	for _, f := range made {
		fmt.Println(filepath.Join(r.out, f))
	}
	for _, f := range failed {
		fmt.Fprintln(os.Stderr, "release: NOT BUILT", f)
	}
	return errors.Join(errs...)
}

// describe asks git for the version, the commit and its date.
func (r *release) describe(ctx context.Context) error {
	var err error
	if r.commit, err = output(ctx, "git", "rev-parse", "HEAD"); err != nil {
		return err
	}
	at, err := output(ctx, "git", "show", "-s", "--format=%cI", "HEAD")
	if err != nil {
		return err
	}
	if r.date, err = time.Parse(time.RFC3339, at); err != nil {
		return fmt.Errorf("reading the date of the commit: %w", err)
	}
	r.date = r.date.UTC()
	if r.version == "" {
		if r.version, err = output(ctx, "git", "describe", "--tags", "--abbrev=0", "--match", "v*"); err != nil {
			r.version = "0.1.0-dev"
		}
	}
	r.version = strings.TrimPrefix(r.version, "v")
	return nil
}

// findZig returns the command of a zig compiler, or nil.
func findZig() []string {
	if path, err := exec.LookPath("zig"); err == nil {
		return []string{path}
	}
	for _, python := range []string{filepath.Join("bin", "zig", "bin", "python"), "python3"} {
		path, err := exec.LookPath(python)
		if err != nil {
			continue
		}
		if path, err = filepath.Abs(path); err != nil {
			continue
		}
		if exec.Command(path, "-m", "ziglang", "version").Run() == nil {
			return []string{path, "-m", "ziglang"}
		}
	}
	return nil
}

// output runs a command and returns its output, without the line's end.
func output(ctx context.Context, name string, args ...string) (string, error) {
	text, err := exec.CommandContext(ctx, name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", fmt.Errorf("running %s %s: %w: %s", name, args[0], err, strings.TrimSpace(string(exit.Stderr)))
	}
	if err != nil {
		return "", fmt.Errorf("running %s %s: %w", name, args[0], err)
	}
	return strings.TrimSpace(string(text)), nil
}

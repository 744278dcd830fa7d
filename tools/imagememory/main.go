// Command imagememory measures what decoding images holds, for every format and every step of the server, beside the
// estimate that is charged for it, and prints a table.
//
//	go run ./tools/imagememory [-sizes 16,64,170] [-formats png,jpeg] [-steps load,preview] [-dir FOLDER]
//
// Each measurement runs in a process of its own; its peak is the growth of the resident set (VmHWM), so it needs Linux.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// mostAVIF is the number of megapixels above which AVIF images are refused.
const mostAVIF = 67

func main() {
	sizes := flag.String("sizes", "16,64,170", "megapixels")
	formats := flag.String("formats", strings.Join(kinds(), ","), "kinds of files")
	steps := flag.String("steps", "load,channel,preview,mask", "steps of the server")
	dir := flag.String("dir", "", "folder that keeps the files; a temporary one by default")
	child := flag.String("measure", "", "internal: STEP:FILE")
	flag.Parse()
	if *child != "" {
		step, file, _ := strings.Cut(*child, ":")
		if err := measure(step, file); err != nil {
			fmt.Println("error", err)
		}
		return
	}
	if err := run(*sizes, *formats, *steps, *dir); err != nil {
		fmt.Fprintln(os.Stderr, "imagememory:", err)
		os.Exit(1)
	}
}

func run(sizes, formats, steps, dir string) error {
	if dir == "" {
		temp, err := os.MkdirTemp("", "imagememory")
		if err != nil {
			return err
		}
		defer os.RemoveAll(temp) //nolint:errcheck // a temporary folder
		dir = temp
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	fmt.Println("| file | megapixels | step | estimate, MiB | peak, MiB | peak / estimate |\n|---|---|---|---|---|---|")
	for _, kind := range strings.Split(formats, ",") {
		if !slices.Contains(kinds(), kind) {
			return fmt.Errorf("no kind of file is called %q; there are %s", kind, strings.Join(kinds(), ", "))
		}
		for _, size := range strings.Split(sizes, ",") {
			megapixels, err := strconv.Atoi(size)
			if err != nil {
				return err
			}
			file := filepath.Join(dir, kind+"_"+size)
			if kind == "avif" && megapixels > mostAVIF {
				fmt.Printf("| %s | %s | all | refused before decoding | | |\n", kind, size)
				continue
			}
			if err := make1(file, kind, megapixels); err != nil {
				return fmt.Errorf("making %s: %w", file, err)
			}
			for _, step := range strings.Split(steps, ",") {
				out, err := exec.Command(self, "-measure", step+":"+file).CombinedOutput() //nolint:gosec // itself
				fmt.Printf("| %s | %s | %s | %s |\n", kind, size, step, row(string(out), err))
			}
		}
	}
	return nil
}

// row makes cells of what a measurement prints: estimate and peak in bytes.
func row(out string, err error) string {
	var estimate, peak int64
	if _, bad := fmt.Sscan(out, &estimate, &peak); bad != nil || err != nil {
		return strings.TrimSpace(strings.ReplaceAll(out, "\n", " ")) + " | |"
	}
	const mib = 1 << 20
	return fmt.Sprintf("%.0f | %.0f | %.2f", float64(estimate)/mib, float64(peak)/mib, float64(peak)/float64(estimate))
}

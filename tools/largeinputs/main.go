// Command largeinputs runs node classes on very large inputs, each in a process of its own, and prints what it takes: CPU seconds, memory, and
// the longest time that passed between two looks for an interrupt.
//
//	go run ./tools/largeinputs -size 10000000 [-only UnwrapMesh] [-limit 9m] [-images 16] [-where]
//
// size is the number of triangles, points, Gaussians or voxels; for images, audio and other tensors of values. Where much time passes without a look,
// the call is made again and interrupted there: other programs and libraries in WebAssembly end with the context without looking at it.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "largeinputs:", err)
		os.Exit(1)
	}
}

// options are the flags, which the processes of the calls get as well.
type options struct {
	size   int
	limit  time.Duration
	memory int
	images int
	where  bool
	one    int
}

func run(args []string, out io.Writer) error {
	f := flag.NewFlagSet("largeinputs", flag.ContinueOnError)
	var o options
	f.IntVar(&o.size, "size", 1_000_000, "triangles, points, Gaussians, voxels, or values of a tensor")
	f.DurationVar(&o.limit, "limit", 9*time.Minute, "time after which a call is interrupted")
	f.IntVar(&o.memory, "memory", 6<<10, "budget of memory in MiB (--max-memory)")
	f.IntVar(&o.images, "images", 16, "images of a batch")
	f.BoolVar(&o.where, "where", false, "print the two places between which the longest time passed")
	f.IntVar(&o.one, "one", -1, "run the call of this number in this process and print what it took as JSON")
	only := f.String("only", "", "regular expression of the calls to run")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.one >= len(calls) {
		return fmt.Errorf("-one %d: there are calls 0 to %d", o.one, len(calls)-1)
	}
	several = max(o.images, 1)
	if o.one >= 0 {
		r, err := measure(calls[o.one], o)
		if err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(r)
	}
	chosen, err := regexp.Compile(*only)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "| class | input | CPU s | longest without a look, CPU s | until it ends when interrupted there | memory before, MiB | peak, MiB | result |\n|---|---|---|---|---|---|---|---|")
	for i, c := range calls {
		if chosen.MatchString(c.name()) {
			report(out, c, o, i)
		}
	}
	return nil
}

// report runs a call in a process of its own and prints a line of the table.
func report(out io.Writer, c call, o options, number int) {
	r, err := apart(o, number)
	if err != nil {
		fmt.Fprintf(out, "| `%s` | %s | | | | | | %v |\n", c.Class, c.describe(o.size), err)
		return
	}
	result := "done"
	if r.Error != "" {
		result = r.Error
	}
	ends := ""
	if r.Ends >= 0 {
		ends = fmt.Sprintf("%.2f", r.Ends)
	}
	fmt.Fprintf(out, "| `%s` | %s | %.1f | %.2f | %s | %d | %d | %s |\n", c.Class, c.describe(o.size), r.CPU, r.Gap, ends, r.Before>>20, r.Peak>>20, result)
	if o.where {
		fmt.Fprintf(out, "|   | from %s to %s, %d looks |\n", r.From, r.To, r.Looks)
	}
}

// apart runs a call in a process of its own.
func apart(o options, number int) (result, error) {
	const more = 5 * time.Minute // for making the inputs
	ctx, cancel := context.WithTimeout(context.Background(), o.limit+more)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return result{}, err
	}
	cmd := exec.CommandContext(ctx, self, "-one", strconv.Itoa(number), "-size", strconv.Itoa(o.size), "-limit", o.limit.String(), "-memory", strconv.Itoa(o.memory), "-images", strconv.Itoa(o.images)) //nolint:gosec // this program
	var said strings.Builder
	cmd.Stderr = &said
	answer, err := cmd.Output()
	if err != nil {
		last := said.String()
		if len(last) > 2000 {
			last = last[:2000]
		}
		return result{}, errors.New("the process ended: " + err.Error() + " " + strings.ReplaceAll(last, "\n", " "))
	}
	var r result
	return r, json.Unmarshal(answer, &r)
}

package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
)

// row is one figure: what was measured, in which unit, the lowest and the median of the rounds (0: there was one), the limit (0: there is
// none) and ComfyUI's figure on a machine of this kind (0: it was not recorded).
type row struct {
	name, unit                    string
	value, median, limit, comfyui float64
	// shared reports that the figure depends on the machine's other load.
	shared bool
}

// report gathers the figures.
type report struct {
	out  io.Writer
	rows []row
}

func (r *report) add(x row) { r.rows = append(r.rows, x) }

func (r *report) print() error {
	t := tabwriter.NewWriter(r.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "what\tunit\tcomfygo\tmedian\tlimit\tComfyUI\tratio\t")
	for _, x := range r.rows {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", x.name, x.unit, figure(x.value), figure(x.median), figure(x.limit), figure(x.comfyui), x.ratio())
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(r.out, "load of the machine: %s\n", load())
	return err
}

// verdict is an error when a limit is exceeded by a figure that is the server's alone.
func (r *report) verdict() error {
	var over []string
	for _, x := range r.rows {
		if x.limit > 0 && x.value > x.limit && !x.shared {
			over = append(over, x.name)
		}
	}
	if len(over) > 0 {
		return fmt.Errorf("over the limit: %s", strings.Join(over, ", "))
	}
	return nil
}

func (x row) ratio() string {
	if x.comfyui == 0 {
		return ""
	}
	return fmt.Sprintf("%.3f", x.value/x.comfyui)
}

func figure(v float64) string {
	switch {
	case v == 0:
		return ""
	case v < 10:
		return fmt.Sprintf("%.3f", v)
	}
	return fmt.Sprintf("%.1f", v)
}

// load is Linux's load average of the last minute, five and fifteen minutes.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}

package app

import (
	"fmt"
	"strconv"
	"strings"

	"comfygo/cli"
	"comfygo/engine/family"
	"comfygo/engine/family/census"
)

// families prints what of each of ComfyUI's model families runs.
func (c Command) families(o cli.RemoteOptions) error {
	lines, err := census.Lines(family.Default)
	if err != nil {
		return err
	}
	if o.JSON {
		return c.print(lines)
	}
	var rows [][]string
	for _, l := range lines {
		runs := "does not run"
		if l.Runs {
			runs = "runs"
		}
		var takes []string
		if l.LoRA {
			takes = append(takes, "LoRA")
		}
		if l.ControlNet {
			takes = append(takes, "ControlNet")
		}
		rows = append(rows, []string{strconv.Itoa(l.Place), l.Class, l.Family, runs, strings.Join(takes, ", "), l.Goldens(), strings.Join(l.Stored, ", ")})
	}
	if err := c.table(rows); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.Stdout, census.Summary(lines))
	return err
}

// Command packcheck compares how node packs in Python run on two servers with the same packs: a ComfyUI and a comfygo, or two of either.
//
//	go run ./tools/packcheck -probe DIR/custom_nodes          writes the node that describes values, for both servers
//	go run ./tools/packcheck -real URL -ours URL [-out FILE]  compares them, prints a table and writes every class's case as JSON
//	go run ./tools/packcheck -real URL -ours URL -overhead    prints wall times of prompts with many nodes
//	go run ./tools/packcheck -real URL -ours URL -mixed -checkpoint NAME -lora NAME
//	                                                          compares workflows of classes of both sides; needs a ComfyUI checkout
//
// For each class of a pack a prompt is made from /object_info of the real server: widgets have their defaults, links the values of
// ComfyUI's own classes, or of classes of the packs that make such a value. Where nothing but a model could be linked and
// -checkpoint names none, the class counts as one that needs a model. Both servers run the prompt; what the outputs are in Python, the
// files and what is shown are compared. Where the real server's results differ from run to run, nothing is compared.
package main

import (
	"bytes"
	"context"
	_ "embed" // for the probe
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"comfygo/internal/apiclient"
)

//go:embed probe/__init__.py
var probe []byte

func main() {
	if err := command(context.Background(), os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "packcheck:", err)
		os.Exit(1)
	}
}

// options are the values of the flags.
type options struct {
	real, ours, probe, only, skip, checkpoint, lora, out, folders string
	limit                                                         time.Duration
	register, overhead, mixed                                     bool
	rounds                                                        int
}

func command(ctx context.Context, args []string, out io.Writer) error {
	var o options
	f := flag.NewFlagSet("packcheck", flag.ContinueOnError)
	f.StringVar(&o.probe, "probe", "", "write the probe into this `folder` of custom nodes and end")
	f.StringVar(&o.real, "real", "http://127.0.0.1:8188", "`URL` of the server that is right")
	f.StringVar(&o.ours, "ours", "http://127.0.0.1:8189", "`URL` of the other")
	f.StringVar(&o.only, "only", "", "run only classes whose pack/name matches")
	f.StringVar(&o.skip, "skip", "^$", "do not run classes whose pack/name matches")
	f.StringVar(&o.checkpoint, "checkpoint", "", "`name` of a checkpoint that both have; empty tries no class that takes a model")
	f.StringVar(&o.out, "out", "", "write the cases as JSON to this `file`")
	f.StringVar(&o.folders, "folders", "", "`OURS=REAL`: base folders, which texts may name")
	f.DurationVar(&o.limit, "limit", 60*time.Second, "time of one prompt")
	f.BoolVar(&o.register, "register", false, "compare what is registered, tell what no prompt can be made for, and run nothing")
	f.BoolVar(&o.overhead, "overhead", false, "measure what a node in Python costs beside the real server, compare nothing")
	f.BoolVar(&o.mixed, "mixed", false, "run workflows of classes here and in Python, with -checkpoint, and compare nothing else")
	f.StringVar(&o.lora, "lora", "", "`name` of a LoRA for -mixed")
	f.IntVar(&o.rounds, "rounds", 5, "rounds of -overhead")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.probe != "" {
		dir := filepath.Join(o.probe, "packcheck")
		if err := os.MkdirAll(dir, 0o750); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(dir, "__init__.py"), probe, 0o600)
	}
	if o.mixed {
		return mixed(ctx, o, out)
	}
	if o.overhead {
		return overhead(ctx, o, out)
	}
	return check(ctx, o, out)
}

// A report is the result for one class.
type report struct {
	Pack, Class string
	Registered  bool     // with the other server
	Schema      bool     // equal
	Verdict     string   // of verdicts
	Real        string   `json:",omitempty"` // what the real server says
	Ours        string   `json:",omitempty"`
	Differs     []string `json:",omitempty"`
	Model       bool     `json:",omitempty"` // uses the checkpoint
}

// The verdicts.
const (
	equal     = "equal"
	other     = "differs"
	sameError = "the same error"
	onlyReal  = "fails here only"
	onlyOurs  = "fails there only"
	errors2   = "another error"
	random    = "random"
	untried   = "not tried"
)

func check(ctx context.Context, o options, out io.Writer) error {
	only, err := regexp.Compile(o.only)
	if err != nil {
		return err
	}
	skip, err := regexp.Compile(o.skip)
	if err != nil {
		return err
	}
	a, b := &side{Client: apiclient.Client{Base: o.real}}, &side{Client: apiclient.Client{Base: o.ours}}
	if own, other, ok := strings.Cut(o.folders, "="); ok {
		b.own, b.other = own, other
	}
	for _, c := range []*side{a, b} {
		if err := upload(ctx, c); err != nil {
			return err
		}
	}
	ca, err := classes(ctx, &a.Client)
	if err != nil {
		return err
	}
	cb, err := classes(ctx, &b.Client)
	if err != nil {
		return err
	}
	p := newPlanner(ca, o.checkpoint)
	names := slices.Sorted(maps.Keys(ca))
	slices.SortStableFunc(names, func(x, y string) int { return bytes.Compare([]byte(ca[x].pack()), []byte(ca[y].pack())) })
	var reports []*report
	for _, name := range names {
		c := ca[name]
		if c.pack() == "" || c.pack() == "packcheck" || !only.MatchString(c.pack()+"/"+name) {
			continue
		}
		r := &report{Pack: c.pack(), Class: name, Verdict: untried}
		if there := cb[name]; there != nil {
			r.Registered, r.Schema = true, sameJSON(c.raw, there.raw)
			if !r.Schema {
				r.Differs = append(r.Differs, "schema: "+schemaDifference(c.raw, there.raw))
			}
		}
		reports = append(reports, r)
		switch {
		case skip.MatchString(r.Pack + "/" + name):
			r.Real = "left out by -skip"
		case o.register:
			if _, _, _, err := p.prompt(c, variants[0]); err != nil {
				r.Real, r.Model = err.Error(), errors.Is(err, errModel)
			}
		case !r.Registered:
			r.Ours = "not registered"
		default:
			if err := try(ctx, o, p, a, b, c, r); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%.160s\t%.160s\t%.300s\n", r.Pack, name, r.Verdict, line(r.Real), line(r.Ours), line(fmt.Sprint(r.Differs)))
		if err := save(o.out, reports); err != nil {
			return err
		}
	}
	table(out, reports)
	return nil
}

func line(s string) string { return string(bytes.ReplaceAll([]byte(s), []byte("\n"), []byte(" "))) }

func save(name string, reports []*report) error {
	if name == "" {
		return nil
	}
	data, err := json.MarshalIndent(reports, "", " ")
	if err != nil {
		return err
	}
	return os.WriteFile(name, data, 0o600)
}

// try runs a class on both servers, with the first variant that the real one takes.
func try(ctx context.Context, o options, p *planner, a, b *side, c *class, r *report) error {
	var nodes map[string]node
	var real *outcome
	for _, v := range variants {
		tried, _, model, err := p.prompt(c, v)
		if err != nil {
			if r.Real == "" {
				r.Real = err.Error()
				r.Model = errors.Is(err, errModel)
			}
			continue
		}
		got, err := run(ctx, a, tried, o.limit)
		if err != nil {
			return err
		}
		if real == nil || got.ok() {
			nodes, real, r.Model = tried, got, model
		}
		if got.ok() || got.late {
			break
		}
	}
	if real == nil {
		return nil
	}
	ours, err := run(ctx, b, nodes, o.limit)
	if err != nil {
		return err
	}
	r.Real, r.Ours = real.said(), ours.said()
	switch {
	case !real.ok() && !ours.ok():
		r.Verdict = sameError
		if r.Real != r.Ours {
			r.Verdict = errors2
		}
		return nil
	case !real.ok():
		r.Verdict = onlyOurs
		return nil
	case !ours.ok():
		r.Verdict = onlyReal
		return nil
	}
	found, err := packBounds.differences(ctx, a, b, &real.result, &ours.result)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		r.Verdict = equal
		return nil
	}
	again, err := repeated(ctx, o, a, nodes)
	if err != nil {
		return err
	}
	r.Verdict = other
	if again.ok() {
		own, err := packBounds.differences(ctx, a, a, &real.result, &again.result)
		if err != nil {
			return err
		}
		if len(own) > 0 {
			r.Verdict = random
		}
	}
	r.Differs = append(r.Differs, found...)
	return nil
}

// repeated runs a prompt again without cached results.
func repeated(ctx context.Context, o options, a *side, nodes map[string]node) (*outcome, error) {
	if err := a.Post(ctx, "/free", map[string]any{"unload_models": true, "free_memory": true}, nil); err != nil {
		return nil, err
	}
	time.Sleep(time.Second) // the queue's thread takes it up when it wakes
	return run(ctx, a, nodes, o.limit)
}

func sameJSON(a, b json.RawMessage) bool {
	var va, vb any
	return json.Unmarshal(a, &va) == nil && json.Unmarshal(b, &vb) == nil && reflect.DeepEqual(va, vb)
}

func schemaDifference(a, b json.RawMessage) string {
	var va, vb map[string]any
	if json.Unmarshal(a, &va) != nil || json.Unmarshal(b, &vb) != nil {
		return "not JSON objects"
	}
	for _, k := range slices.Sorted(maps.Keys(va)) {
		if !reflect.DeepEqual(va[k], vb[k]) {
			return packBounds.unequal(k, va[k], vb[k], 1)
		}
	}
	return "one more key"
}

// table prints one line a pack, in Markdown.
func table(out io.Writer, reports []*report) {
	type row struct {
		all, registered, schema int
		verdicts, model         map[string]int
	}
	rows := map[string]*row{}
	for _, r := range reports {
		for _, pack := range []string{r.Pack, "~all"} {
			w := rows[pack]
			if w == nil {
				w = &row{verdicts: map[string]int{}, model: map[string]int{}}
				rows[pack] = w
			}
			w.all++
			if r.Registered {
				w.registered++
			}
			if r.Schema {
				w.schema++
			}
			if r.Model {
				w.model[r.Verdict]++
			} else {
				w.verdicts[r.Verdict]++
			}
		}
	}
	fmt.Fprintln(out, "| pack | classes | registered | same schema | equal | differ | fails here only | same error | another error | fails there only | random | not tried |")
	fmt.Fprintln(out, "|---|---|---|---|---|---|---|---|---|---|---|---|")
	for _, pack := range slices.Sorted(maps.Keys(rows)) {
		w := rows[pack]
		fmt.Fprintf(out, "| %s | %d | %d | %d |", pack, w.all, w.registered, w.schema)
		for _, v := range []string{equal, other, onlyReal, sameError, errors2, onlyOurs, random, untried} {
			fmt.Fprintf(out, " %d", w.verdicts[v])
			if n := w.model[v]; n > 0 {
				fmt.Fprintf(out, " + %d", n)
			}
			fmt.Fprint(out, " |")
		}
		fmt.Fprintln(out)
	}
	fmt.Fprintln(out, "\nA number after + is of classes that take a model.")
}

// upload puts the files into a server's input folder that prompts load.
func upload(ctx context.Context, c *side) error {
	for i, name := range []string{firstImage, secondImage} {
		var data bytes.Buffer
		if err := png.Encode(&data, testImage(i)); err != nil {
			return err
		}
		if err := c.Upload(ctx, name, data.Bytes()); err != nil {
			return err
		}
	}
	return c.Upload(ctx, soundFile, sound())
}

// testImage has gradients, an edge and a disc, so that filters have something to do.
func testImage(n int) image.Image {
	const width, height = 96, 64
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			p := color.NRGBA{uint8(x * 255 / width), uint8(y * 255 / height), uint8((x*7 + y*13 + n*50) % 256), 255}
			if dx, dy := x-48, y-32; dx*dx+dy*dy < 300 {
				p.R, p.G = 255-p.R, uint8(200*n)
			}
			m.SetNRGBA(x, y, p)
		}
	}
	return m
}

// sound is half a second of a sine wave as a WAV file.
func sound() []byte {
	const rate, count = 16000, 8000
	var b bytes.Buffer
	write := func(v any) { _ = binary.Write(&b, binary.LittleEndian, v) } // a buffer takes everything
	b.WriteString("RIFF")
	write(uint32(36 + 2*count))
	b.WriteString("WAVEfmt ")
	for _, v := range []any{uint32(16), uint16(1), uint16(1), uint32(rate), uint32(2 * rate), uint16(2), uint16(16)} {
		write(v)
	}
	b.WriteString("data")
	write(uint32(2 * count))
	for i := range count {
		write(int16(8000 * math.Sin(2*math.Pi*440*float64(i)/rate)))
	}
	return b.Bytes()
}

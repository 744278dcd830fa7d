package weights_test

import (
	"encoding/binary"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comfygo/engine/weights"
)

// vector is the pickle of a tensor of the first n elements of storage 0.
func vector(n int64) string { return tens(ref(float, "0", 4), 0, []int64{n}, []int64{1}) }

// dict is the pickle of a dict of keys and pickled values in turn.
func dict(pairs ...string) string {
	s := "}"
	for i := 0; i < len(pairs); i += 2 {
		s += str(pairs[i]) + pairs[i+1] + "s"
	}
	return s
}

// object is the pickle of an object of a class with attributes.
func object(class, state string) string { return "c" + class + "\n)\x81" + state + "b" }

// TestTorchStructures reads tensors out of what trainers put around them. Each name is followed by the number of its elements.
func TestTorchStructures(t *testing.T) {
	t.Parallel()
	module := "ctorch.nn.modules.container\nParameterDict\n)\x81"
	for name, c := range map[string]struct {
		pickled     string
		open, whole []string
	}{
		"flat":             {dict("w", vector(2), "step", "K\x05"), []string{"w"}, []string{"w"}},
		"state_dict":       {dict("state_dict", dict("w", vector(2)), "epoch", "K\x01", "optimizer", dict("m", vector(3))), []string{"w"}, []string{"state_dict.w", "optimizer.m"}},
		"averaged":         {dict("params", dict("w", vector(1)), "params_ema", dict("w", vector(2))), []string{"w"}, []string{"params.w", "params_ema.w"}},
		"model":            {dict("model", dict("w", vector(2)), "iter", "K\x05"), []string{"w"}, []string{"model.w"}},
		"net":              {dict("iter", "K\x05", "net", dict("w", vector(2))), []string{"w"}, []string{"net.w"}},
		"three levels":     {dict("epoch", "K\x05", "state", "N", "model", dict("net", dict("params", dict("w", vector(2)), "x", "N"), "y", "N")), []string{"w"}, []string{"model.net.params.w"}},
		"only member":      {dict("anything", dict("w", vector(2))), []string{"w"}, []string{"anything.w"}},
		"wrapper is empty": {dict("params", dict("lr", "K\x01"), "w", vector(2)), []string{"w"}, []string{"w"}},
		"two parts":        {dict("encoder", dict("w", vector(1)), "decoder", dict("w", vector(2))), []string{"encoder.w", "decoder.w"}, []string{"encoder.w", "decoder.w"}},
		"list of dicts":    {"](" + dict("<a>", vector(1)) + dict("<b>", vector(2)) + "e", []string{"[0].<a>", "[1].<b>"}, []string{"[0].<a>", "[1].<b>"}},
		"integer keys":     {"}K\x07" + vector(2) + "s", []string{"7"}, []string{"7"}},
		"ParameterDict":    {dict("p", module+dict("training", "\x88", "_parameters", dict("*", vector(2)), "_modules", dict())+"b", "n", "N"), []string{"p.*"}, []string{"p.*"}},
		"module":           {object("archs\nNet", dict("_parameters", dict("w", vector(1)), "_modules", dict("body", object("archs\nBody", dict("_parameters", dict("b", vector(2))))))), []string{"w", "body.b"}, []string{"w", "body.b"}},
		"foreign object":   {dict("w", vector(2), "args", object("train\nConfig", dict("lr", "K\x01"))), []string{"w"}, []string{"w"}},
		"foreign call":     {dict("w", vector(2), "when", "cdatetime\ndatetime\nK\x01\x85R"), []string{"w"}, []string{"w"}},
		"subclass of dict": {"ceasydict\nEasyDict\n)\x81(" + str("w") + vector(2) + "u", []string{"w"}, []string{"w"}},
		"protocol 0":       {dict("w", vector(2), "o", "ccopy_reg\n_reconstructor\n(ctrain\nConfig\nc__builtin__\nobject\nNtR"), []string{"w"}, []string{"w"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "a.pth")
			if err := os.WriteFile(path, archive(t, "\x80\x02"+c.pickled+".", map[string]string{"data/0": strings.Repeat("\x00", 16)}), 0o600); err != nil {
				t.Fatal(err)
			}
			for form, try := range map[string]struct {
				open func(string) (weights.Source, error)
				want []string
			}{"Open": {weights.Open, c.open}, "OpenWhole": {weights.OpenWhole, c.whole}} {
				src, err := try.open(path)
				if err != nil {
					t.Fatalf("%s: %v", form, err)
				}
				defer src.Close()
				if !slices.Equal(src.Names(), try.want) {
					t.Errorf("%s: names %q, want %q", form, src.Names(), try.want)
				}
				if name == "averaged" && form == "Open" {
					if e, _ := src.Lookup("w"); e.Count() != 2 {
						t.Errorf("the averaged weights are %v", e)
					}
				}
			}
		})
	}
}

// TestHeaderLengthLikePickle opens safetensors files whose header lengths are the first bytes of other formats.
func TestHeaderLengthLikePickle(t *testing.T) {
	t.Parallel()
	for _, n := range []int{640, 896, 1152, 1408, 65536 + 640} { // 0x280, 0x380, 0x480, 0x580: PROTO 2 to 5 of a pickle
		header := `{"__metadata__":{"step":12,"nested":{"a":[1]},"note":"x"},"w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}`
		header += strings.Repeat(" ", n-len(header))
		file := append(binary.LittleEndian.AppendUint64(nil, uint64(n)), header...)
		path := filepath.Join(t.TempDir(), "w.safetensors")
		if err := os.WriteFile(path, append(file, 0, 0, 0x80, 0x3f), 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := weights.Open(path)
		if err != nil {
			t.Errorf("header of %d bytes: %v", n, err)
			continue
		}
		defer src.Close()
		e, _ := src.Lookup("w")
		if got, err := weights.Float32s(e); err != nil || !slices.Equal(got, []float32{1}) {
			t.Errorf("header of %d bytes: w is %v, %v", n, got, err)
		}
		if m := src.Metadata(); m["step"] != "12" || m["nested"] != `{"a":[1]}` || m["note"] != "x" {
			t.Errorf("metadata %q", m)
		}
	}
}

func TestUnwrap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, view string }{
		{"w", "w"}, {"module.w", "w"}, {"net.module.w", "w"}, {"state_dict.model.net.module.w", "w"}, {"params.0.w", "0.w"},
	} {
		src, err := weights.Memory("file", weights.Entry{Name: c.name})
		if err != nil {
			t.Fatal(err)
		}
		found := false
		for _, v := range weights.Unwrap(src) {
			_, ok := v.Lookup(c.view)
			found = found || ok
		}
		if !found {
			t.Errorf("%s is not found below its wrappers", c.name)
		}
	}
}

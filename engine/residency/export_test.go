package residency

import (
	"context"

	"comfygo/engine/onnx"
	"comfygo/engine/ort"
)

// FakeSession is a session without a runtime.
type FakeSession struct {
	OnRun   func() error
	OnClose func()
	// Keeps is the number of bytes that it reports to keep after a run.
	Keeps int64
}

// Kept returns Keeps.
func (f *FakeSession) Kept() int64 { return f.Keeps }

// Captured implements session.
func (*FakeSession) Captured() int { return 0 }

// Inputs has none.
func (f *FakeSession) Inputs() []ort.Info { return nil }

// Run gives no outputs and the error of OnRun.
func (f *FakeSession) Run(context.Context, map[string]ort.Value, []string) (map[string]ort.Value, error) {
	return nil, f.OnRun()
}

// NewBinding gives none.
func (f *FakeSession) NewBinding(...string) (*ort.Binding, error) { return nil, nil }

// Close calls OnClose.
func (f *FakeSession) Close() { f.OnClose() }

// OpenWith has sessions made by f.
func (s *Sessions) OpenWith(f func(key Key) (*FakeSession, error)) {
	s.open = func(_ context.Context, key Key, _ bool, _ *onnx.Graph) (session, error) {
		made, err := f(key)
		if err != nil {
			return nil, err
		}
		return made, nil
	}
}

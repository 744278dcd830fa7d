package queue_test

import (
	"context"
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"comfygo/queue"
)

// silentLog is a log of which only messages work. answer is sent to the worker after each of its beats; stops counts the receivers that have ended.
type silentLog struct {
	queue.Log
	answer string
	to     func(data []byte)
	beats  chan struct{}
	stops  chan struct{}
}

func (l *silentLog) Receive(_ string, f func(data []byte)) (func(), error) {
	l.to = f
	return func() { l.stops <- struct{}{} }, nil
}

func (l *silentLog) Send(string, []byte) error {
	select {
	case l.beats <- struct{}{}:
	default:
	}
	if l.answer != "" {
		l.to(append(binary.BigEndian.AppendUint32(nil, uint32(len(l.answer))), l.answer...))
	}
	return nil
}

// TestWorkerThatNeverJoins ends a worker that no server has welcomed, and one that was welcomed with a key that cannot be used. Both end in order.
func TestWorkerThatNeverJoins(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{
		"no server": "", "a key that is too short": `{"v":3,"type":"welcome","key":"AAAA"}`,
		"a key of low order": `{"v":3,"type":"welcome","key":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := &silentLog{answer: answer, beats: make(chan struct{}, 1), stops: make(chan struct{}, 100)}
			w := queue.NewRemoteWorker(queue.RemoteConfig{Log: l})
			ctx, cancel := context.WithCancelCause(t.Context())
			done := make(chan error, 1)
			go func() { done <- w.Work(ctx) }()
			<-l.beats
			if answer != "" {
				<-l.stops // it gives up this try
				l.stops <- struct{}{}
			}
			cancel(errors.New("the test is over"))
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the worker does not end")
			}
			if len(l.stops) == 0 {
				t.Error("the worker still receives messages")
			}
		})
	}
}

package glsl

import (
	"bufio"
	"errors"
	"io"
	"os"
	"runtime"
)

// A process that a Renderer started is only a worker, whatever program it is: if main had to check this, a program that
// forgets it, such as a test, would start itself without end.
func init() {
	if os.Getenv(workerVariable) == "" {
		return
	}
	runtime.LockOSThread() // contexts belong to a thread
	code := 0
	if err := serve(os.Stdin, os.Stdout); err != nil {
		_, _ = os.Stderr.WriteString(err.Error() + "\n")
		code = 1
	}
	os.Exit(code)
}

// program is a compiled shader.
type program interface {
	// render fills the results from images; rows are from top to bottom.
	render(images []Image, results [][]float32) error
	name() string
}

// serve reads a job and frames, and writes the results, until the input ends.
func serve(r io.Reader, w io.Writer) error {
	in, out := bufio.NewReaderSize(r, 4*chunk), bufio.NewWriterSize(w, 4*chunk)
	var job Job
	if err := readMessage(in, &job); err != nil {
		return err
	}
	// The input's end is that of the process that wants the results; it is looked for while the driver works, too.
	frames := make(chan []Image)
	go func() {
		for {
			images := make([]Image, job.Images)
			for i := range images {
				var err error
				if images[i], err = readImage(in); err != nil {
					os.Exit(0)
				}
			}
			frames <- images
		}
	}()
	limitWorker(&job)
	p, err := compile(&job)
	if err != nil {
		text := err.Error()
		if errors.Is(err, ErrUnavailable) {
			text = unavailable + text
		}
		return errors.Join(writeMessage(out, reply{Error: text}), out.Flush())
	}
	if err := errors.Join(writeMessage(out, reply{Renderer: p.name()}), out.Flush()); err != nil {
		return err
	}
	results := make([][]float32, job.Outputs())
	for i := range results {
		results[i] = make([]float32, job.Width*job.Height*4)
	}
	for images := range frames {
		if err := p.render(images, results); err != nil {
			return errors.Join(writeMessage(out, reply{Error: err.Error()}), out.Flush())
		}
		if err := writeMessage(out, reply{Renderer: p.name()}); err != nil {
			return err
		}
		for _, values := range results {
			if err := writeFloats(out, values); err != nil {
				return err
			}
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	return nil
}

package app

import (
	"slices"
	"sync"
)

// onHangup calls what has to be read again whenever SIGHUP comes, until stop is called. What cannot be read stays as it
// was. Without anything to read the signal keeps its meaning, which is to end the program.
func onHangup(log *Log, reload ...func() error) (stop func()) {
	reload = slices.DeleteFunc(reload, func(f func() error) bool { return f == nil })
	if len(reload) == 0 {
		return func() {}
	}
	signals, end := hangups()
	done := make(chan struct{})
	var work sync.WaitGroup
	work.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-signals:
			}
			for _, f := range reload {
				if err := f(); err != nil {
					log.Error("reading again on SIGHUP: " + err.Error())
				}
			}
			log.Info("read again on SIGHUP")
		}
	})
	return func() {
		end()
		close(done)
		work.Wait()
	}
}

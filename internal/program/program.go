// Package program has what cvexport and cvreport share as programs.
package program

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/spf13/pflag"

	"github.com/cvexport/cvexport/load/store/open"
)

// shutdown is how long requests may take to finish: an interrupt ends everything within two
// seconds.
const shutdown = time.Second

// DefaultWarehouse is used where nothing else names a warehouse.
const DefaultWarehouse = "./warehouse"

// AddWarehouse adds the flag for the warehouse. Without the flag, address is what the
// environment says; if that is empty, the caller chooses the default.
func AddWarehouse(flags *pflag.FlagSet, address *string) {
	*address = os.Getenv("CVEXPORT_WAREHOUSE")
	usage := "`address` of the warehouse: " + open.Forms() + " (CVEXPORT_WAREHOUSE; default " + DefaultWarehouse + ")"
	flags.Func("warehouse", usage, func(text string) error {
		if text == "" { // probably a variable that is not set
			return errors.New("the address is empty: leave the flag out for the default")
		}
		*address = text
		return nil
	})
}

// IsLoopback reports whether only this machine can reach an address, host:port.
func IsLoopback(address string) (bool, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false, fmt.Errorf("%q is not host:port: %w", address, err)
	}
	return host == "localhost" || net.ParseIP(host).IsLoopback(), nil
}

// Serve serves at an address while run runs, then lets requests finish for a
// second. The contexts of run and of the requests also end if serving fails.
func Serve(ctx context.Context, address string, server *http.Server, run func(ctx context.Context, url string) error) error {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("serving: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	server.ReadHeaderTimeout, server.IdleTimeout = 10*time.Second, 2*time.Minute
	server.BaseContext = func(net.Listener) context.Context { return ctx }
	ended := make(chan error, 1)
	go func() {
		defer cancel()
		ended <- server.Serve(listener)
	}()
	err = run(ctx, "http://"+listener.Addr().String())
	late, cancelLate := context.WithTimeout(context.WithoutCancel(ctx), shutdown)
	defer cancelLate()
	stopped := server.Shutdown(late)
	if errors.Is(stopped, context.DeadlineExceeded) {
		stopped = server.Close()
	}
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serving: %w", served))
	}
	return errors.Join(err, stopped)
}

package main

import (
	"net/url"

	"go.etcd.io/etcd/server/v3/embed"
)

// An etcd of one member on free ports of loopback. Its writes are not synced to the disk: they outlive the process, not the machine.
func startEtcd(dir string) string {
	loopback := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config := embed.NewConfig()
	config.Dir = dir
	config.LogLevel = "error"
	config.ListenClientUrls, config.AdvertiseClientUrls = loopback, loopback
	config.ListenPeerUrls, config.AdvertisePeerUrls = loopback, loopback
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	config.TickMs, config.ElectionMs = 20, 200
	config.EnableGRPCGateway = false
	config.UnsafeNoFsync = true
	etcd, err := embed.StartEtcd(config)
	fatal(err)
	<-etcd.Server.ReadyNotify()
	return "http://" + etcd.Clients[0].Addr().String()
}

package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

type credentials struct {
	// kube-apiserver makes its certificate here, and keeps it.
	certificateFolder, certificate string
	// Signs the tokens of service accounts.
	accountKey string
	tokens     string
	adminToken string
}

// What is there already stays, so that a cluster that starts again knows its old clients.
func writeCredentials(dir string) credentials {
	folder := filepath.Join(dir, "certificates")
	files := credentials{
		certificateFolder: folder,
		certificate:       filepath.Join(folder, "apiserver.crt"),
		accountKey:        filepath.Join(dir, "service-accounts.pem"),
		tokens:            filepath.Join(dir, "tokens.csv"),
	}
	once(files.accountKey, func() []byte {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		fatal(err)
		der, err := x509.MarshalECPrivateKey(key)
		fatal(err)
		return pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	})
	line := once(files.tokens, func() []byte {
		return []byte(rand.Text() + ",admin,admin,\"system:masters\"\n")
	})
	files.adminToken, _, _ = strings.Cut(string(line), ",")
	return files
}

func once(path string, make func() []byte) []byte {
	kept, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		kept = make()
		err = os.WriteFile(path, kept, 0o600)
	}
	fatal(err)
	return kept
}

// SPDX-License-Identifier: Apache-2.0
// Makes, reads and edits keystores through java.security.KeyStore: the code behind keytool, in one
// JVM instead of one for each store. Reads a command a line from standard input, fields between
// tabs, UTF-8; answers with lines and then "ok" or "ERR why".
//
//   make TYPE LEGACY FILE STOREPW KEYPW KEYDIR N     entries e0..eN-1, and a trusted certificate "ca"
//   secret FILE STOREPW KEYPW KEYDIR                 JCEKS: "e0", a secret key "s", "e1"
//   dump TYPE FILE STOREPW KEYPW ALIAS|- ALIASPW     alias, kind, created, SHA-256 of key and chain
//   put TYPE FILE STOREPW KEYPW ALIAS KEYDIR I       sets the entry to key I and chain I
//   remove TYPE FILE STOREPW ALIAS
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Key;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.Signature;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import javax.crypto.spec.SecretKeySpec;

public class Driver {
    static final int KEYS = 4;
    static final CertificateFactory X509;
    static final Map<String, PrivateKey> keys = new HashMap<>();
    static final Map<String, Certificate[]> chains = new HashMap<>();

    static {
        try {
            X509 = CertificateFactory.getInstance("X.509");
        } catch (Exception e) {
            throw new RuntimeException(e);
        }
    }

    static PrivateKey key(String dir, int i) throws Exception {
        String path = dir + "/key-" + i % KEYS + ".der";
        PrivateKey key = keys.get(path);
        if (key == null) {
            byte[] der = Files.readAllBytes(Path.of(path));
            String algorithm = Path.of(dir).getFileName().toString().startsWith("rsa") ? "RSA" : "EC";
            key = KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(der));
            keys.put(path, key);
        }
        return key;
    }

    static Certificate[] chain(String dir, int i) throws Exception {
        String path = dir + "/chain-" + i + ".pem";
        Certificate[] chain = chains.get(path);
        if (chain == null) {
            byte[] pem = Files.readAllBytes(Path.of(path));
            chain = X509.generateCertificates(new ByteArrayInputStream(pem)).toArray(new Certificate[0]);
            chains.put(path, chain);
        }
        return chain;
    }

    static String sha256(byte[] data) throws Exception {
        return HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(data));
    }

    static KeyStore open(String type, String file, String password) throws Exception {
        // not KeyStore.getInstance(File): and not the type that detects the format by itself either
        System.setProperty("keystore.type.compat", "false");
        KeyStore store = KeyStore.getInstance(type);
        try (FileInputStream in = new FileInputStream(file)) {
            store.load(in, password.toCharArray());
        }
        return store;
    }

    static void save(KeyStore store, String file, String password) throws Exception {
        try (FileOutputStream out = new FileOutputStream(file)) {
            store.store(out, password.toCharArray());
        }
    }

    static void legacy(String on) {
        if (on.equals("1")) {
            System.setProperty("keystore.pkcs12.legacy", "");
        } else {
            System.clearProperty("keystore.pkcs12.legacy");
        }
    }

    static void make(String[] f) throws Exception {
        legacy(f[2]);
        KeyStore store = KeyStore.getInstance(f[1]);
        store.load(null, f[4].toCharArray());
        for (int i = 0; i < Integer.parseInt(f[7]); i++) {
            store.setKeyEntry("e" + i, key(f[6], i), f[5].toCharArray(), chain(f[6], i));
        }
        Certificate[] first = chain(f[6], 0);
        store.setCertificateEntry("ca", first[first.length - 1]);
        save(store, f[3], f[4]);
    }

    static void secret(String[] f) throws Exception {
        KeyStore store = KeyStore.getInstance("JCEKS");
        store.load(null, f[2].toCharArray());
        for (int i = 0; i < 2; i++) {
            store.setKeyEntry("e" + i, key(f[4], i), f[3].toCharArray(), chain(f[4], i));
        }
        store.setKeyEntry("s", new SecretKeySpec(new byte[16], "AES"), f[3].toCharArray(), null);
        save(store, f[1], f[2]);
    }

    static void match(PrivateKey key, PublicKey pub) throws Exception {
        Signature s = Signature.getInstance(key.getAlgorithm().equals("RSA") ? "SHA256withRSA" : "SHA256withECDSA");
        s.initSign(key);
        s.update(new byte[] {1, 2, 3});
        byte[] signature = s.sign();
        s.initVerify(pub);
        s.update(new byte[] {1, 2, 3});
        if (!s.verify(signature)) {
            throw new Exception("key does not match its certificate");
        }
    }

    static void dump(String[] f, PrintStream out) throws Exception {
        KeyStore store = open(f[1], f[2], f[3]);
        List<String> aliases = new ArrayList<>(Collections.list(store.aliases()));
        for (String alias : aliases) {
            StringBuilder line = new StringBuilder(alias);
            boolean isKey = store.isKeyEntry(alias);
            line.append('\t').append(isKey ? "key" : "trusted");
            line.append('\t').append(store.getCreationDate(alias).getTime()).append('\t');
            Certificate[] chain = isKey ? store.getCertificateChain(alias) : new Certificate[] {store.getCertificate(alias)};
            if (isKey) {
                String password = alias.equals(f[5]) ? f[6] : f[4];
                Key key = store.getKey(alias, password.toCharArray());
                if (key instanceof PrivateKey) {
                    match((PrivateKey) key, chain[0].getPublicKey());
                    for (int i = 0; i + 1 < chain.length; i++) {
                        chain[i].verify(chain[i + 1].getPublicKey());
                    }
                }
                line.append(sha256(key.getEncoded()));
            } else {
                line.append('-');
            }
            line.append('\t');
            if (chain != null) {
                for (int i = 0; i < chain.length; i++) {
                    line.append(i > 0 ? "," : "").append(sha256(chain[i].getEncoded()));
                }
            }
            out.println(line);
        }
    }

    static void put(String[] f) throws Exception {
        KeyStore store = open(f[1], f[2], f[3]);
        int i = Integer.parseInt(f[7]);
        store.setKeyEntry(f[5], key(f[6], i), f[4].toCharArray(), chain(f[6], i));
        save(store, f[2], f[3]);
    }

    static void remove(String[] f) throws Exception {
        KeyStore store = open(f[1], f[2], f[3]);
        store.deleteEntry(f[4]);
        save(store, f[2], f[3]);
    }

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream out = new PrintStream(System.out, true, StandardCharsets.UTF_8);
        String line;
        while ((line = in.readLine()) != null) {
            String[] f = line.split("\t", -1);
            try {
                switch (f[0]) {
                    case "make" -> make(f);
                    case "secret" -> secret(f);
                    case "dump" -> dump(f, out);
                    case "put" -> put(f);
                    case "remove" -> remove(f);
                    default -> throw new Exception("no command " + f[0]);
                }
                out.println("ok");
            } catch (Throwable e) {
                String why = e.getClass().getSimpleName() + ": " + e.getMessage();
                out.println("ERR " + why.replace('\n', ' '));
            }
        }
    }
}

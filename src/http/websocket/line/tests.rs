//! Clients that are slow, over TCP and TLS with little room in the kernel.

use std::sync::Arc;

use fastwebsockets::Payload;
use rustls::{ClientConfig, RootCertStore, ServerConfig, pki_types::PrivateKeyDer};
use socket2::SockRef;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    net::{TcpListener, TcpSocket},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// Of what the kernel may keep on either side: little, so that a client need not be slow for long.
const KERNEL: usize = 4_096;
const PAYLOAD: usize = 400;

fn secured() -> (TlsAcceptor, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into()]).expect("a certificate");
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).expect("a key");
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let server = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let server = server.expect("versions").with_no_client_auth().with_single_cert(vec![made.cert.der().clone()], key);
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).expect("a root");
    let client = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let client = client.expect("versions").with_root_certificates(roots).with_no_client_auth();
    (TlsAcceptor::from(Arc::new(server.expect("a pair"))), TlsConnector::from(Arc::new(client)))
}

type Client = Box<dyn AsyncRead + Unpin + Send>;

async fn open(tls: bool) -> (Arc<Line>, Client) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(KERNEL as u32).expect("set");
    let (client, accepted) =
        tokio::join!(socket.connect(listener.local_addr().expect("bound")), async { listener.accept().await });
    let (client, (server, _)) = (client.expect("connected"), accepted.expect("accepted"));
    SockRef::from(&server).set_send_buffer_size(KERNEL).expect("set");
    let (connection, client): (_, Client) = if tls {
        let (acceptor, connector) = secured();
        let name = "localhost".try_into().expect("a name");
        let (connection, client) =
            tokio::join!(Connection::for_a_test(server, Some(acceptor)), connector.connect(name, client));
        (connection, Box::new(client.expect("shaken hands")))
    } else {
        (Connection::for_a_test(server, None).await, Box::new(client))
    };
    (Arc::new(Line::new(connection, Bytes::new())), client)
}

fn payload(number: usize) -> Vec<u8> {
    format!("{number:>PAYLOAD$}").into_bytes()
}

fn send(line: &Line, number: usize) -> Result<(), Broken> {
    line.send(Frame::text(Payload::Owned(payload(number))))
}

/// The opcode and the payload.
async fn frame(client: &mut Client) -> (u8, Vec<u8>) {
    let opcode = client.read_u8().await.expect("a frame") & 0x0f;
    let length = match client.read_u8().await.expect("a length") {
        126 => usize::from(client.read_u16().await.expect("a length")),
        short => usize::from(short),
    };
    let mut payload = vec![0; length];
    client.read_exact(&mut payload).await.expect("a payload");
    (opcode, payload)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_slow_client_does_not_take_waits_in_order_and_no_frame_is_torn() {
    for tls in [false, true] {
        let (line, mut client) = open(tls).await;
        let tending = tokio::spawn({
            let line = Arc::clone(&line);
            async move { line.tend().await }
        });
        let mut sent = 0;
        while line.is_clear() {
            send(&line, sent).expect("within the bound");
            sent += 1;
        }
        for _ in 0..30 {
            send(&line, sent).expect("within the bound");
            sent += 1;
        }
        line.close(1000, "left");
        assert_eq!(send(&line, sent), Err(Broken), "nothing follows the last frame");
        for number in 0..sent {
            assert_eq!(frame(&mut client).await, (1, payload(number)), "TLS: {tls}");
        }
        assert_eq!(frame(&mut client).await, (8, [&1000_u16.to_be_bytes()[..], b"left"].concat()));
        assert_eq!(tending.await.expect("no panic"), Ok(()));
        assert!(line.is_clear());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_takes_nothing_is_given_up_before_much_waits() {
    for tls in [false, true] {
        let (line, _client) = open(tls).await;
        let mut sent = 0;
        while send(&line, sent).is_ok() {
            sent += 1;
        }
        // The bound, and what the kernel and TLS took.
        assert!(sent * PAYLOAD < UNSENT * 4, "{sent}");
        assert_eq!(line.tend().await, Err(Broken));
    }
}

/// As a lane does it: shared bytes, and nothing while something waits.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_shared_is_taken_only_by_a_clear_line_and_arrives_whole() {
    for tls in [false, true] {
        let (line, mut client) = open(tls).await;
        let bytes = Bytes::from(encoded(Frame::text(Payload::Owned(vec![b'x'; 50_000]))));
        let mut taken = 0;
        while line.send_if_clear(&bytes).expect("whole") {
            taken += 1;
            assert!(taken < 1_000, "the kernel takes little");
        }
        assert!(taken >= 1 && !line.is_clear());
        let tending = tokio::spawn({
            let line = line.clone();
            async move { line.tend().await }
        });
        let mut read = vec![0; bytes.len()];
        for _ in 0..taken {
            client.read_exact(&mut read).await.expect("sent on");
            assert!(read == bytes);
        }
        while !line.is_clear() {
            tokio::task::yield_now().await;
        }
        assert_eq!(line.send_if_clear(&bytes), Ok(true), "and takes more");
        line.close(1000, "");
        assert_eq!(line.send_if_clear(&bytes), Err(Broken));
        client.read_exact(&mut read).await.expect("sent on");
        assert!(read == bytes);
        assert_eq!(tending.await.expect("ended"), Ok(()));
    }
}

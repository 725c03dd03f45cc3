"""French and Spanish tasks of our own, in the infinitive; a few for every kind."""

from collections.abc import Mapping

# kind: French tasks, Spanish tasks
ROMANCE_TASKS: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "image_classes": (
        ("classer des photos de fleurs", "reconnaître des races de chiens", "identifier des champignons"),
        ("clasificar fotos de flores", "reconocer razas de perros", "identificar aves en imágenes"),
    ),
    "image_pairs": (
        ("distinguer les chats des chiens sur des photos", "trier les fruits mûrs et non mûrs par image"),
        ("distinguir gatos de perros en fotos", "separar fruta madura y verde por imagen"),
    ),
    "image_findings": (
        ("détecter une pneumonie sur une radiographie, oui ou non", "dire si une image montre un incendie"),
        ("decidir si una radiografía muestra neumonía", "decir si hay humo en una imagen"),
    ),
    "segmentation": (
        ("segmenter les routes sur des images aériennes", "segmenter les tumeurs avec un U-Net"),
        ("segmentar carreteras en imágenes aéreas", "segmentar tumores con una U-Net"),
    ),
    "detection": (
        ("localiser les plaques d'immatriculation", "détecter des visages avec des boîtes englobantes"),
        ("localizar matrículas de coches", "detectar caras con cajas delimitadoras"),
    ),
    "restoration": (
        ("débruiter des photos", "coloriser des photos en noir et blanc"),
        ("quitar el ruido de fotos", "colorear fotos en blanco y negro"),
    ),
    "image_generation": (
        ("générer des visages avec un GAN", "inventer des images de paysages"),
        ("generar caras con una GAN", "crear imágenes nuevas de paisajes"),
    ),
    "captioning": (
        ("décrire des photos en une phrase", "écrire des légendes pour des images"),
        ("describir fotos en una frase", "escribir pies de foto para imágenes"),
    ),
    "image_regression": (
        ("estimer l'âge à partir d'une photo", "estimer le poids d'un poisson sur image"),
        ("estimar la edad a partir de una foto", "estimar el peso de un pez por imagen"),
    ),
    "video": (
        ("reconnaître des gestes dans des vidéos", "classer des vidéos de sport"),
        ("reconocer gestos en vídeos", "clasificar vídeos de deportes"),
    ),
    "text_binary": (
        ("classer des critiques de films en positives ou négatives", "analyser le sentiment des avis"),
        ("clasificar críticas de cine como positivas o negativas", "analizar el sentimiento de reseñas"),
    ),
    "text_flags": (
        ("détecter le spam", "repérer les fausses nouvelles"),
        ("detectar spam", "detectar noticias falsas"),
    ),
    "text_classes": (
        ("classer des articles de presse par thème", "trier des courriels par service"),
        ("clasificar noticias por tema", "ordenar correos por departamento"),
    ),
    "text_generation": (
        ("générer des poèmes", "inventer des prénoms"),
        ("generar poemas", "inventar nombres"),
    ),
    "translation": (
        ("traduire du français vers l'anglais", "traduire des phrases de l'allemand en français"),
        ("traducir del español al inglés", "traducir frases del inglés al español"),
    ),
    "summaries": (
        ("résumer des articles", "résumer de longs rapports"),
        ("resumir artículos", "resumir informes largos"),
    ),
    "answering": (
        ("répondre à des questions sur un texte", "trouver la réponse à une question dans un manuel"),
        ("responder preguntas sobre un texto", "encontrar la respuesta a una pregunta en un manual"),
    ),
    "tagging": (
        ("repérer les noms de personnes dans un texte", "étiqueter chaque mot avec sa catégorie"),
        ("marcar nombres de personas en un texto", "etiquetar cada palabra con su categoría"),
    ),
    "regression": (
        ("prédire le prix des maisons", "estimer les loyers à partir d'un tableau", "prédire des salaires"),
        ("predecir el precio de casas", "estimar alquileres a partir de una tabla", "predecir salarios"),
    ),
    "table_binary": (
        ("prédire le départ des clients", "prédire le défaut de crédit à partir d'un tableau"),
        ("predecir la fuga de clientes", "predecir impagos a partir de una tabla"),
    ),
    "table_classes": (
        ("classer des vins à partir de mesures", "répartir les clients en segments"),
        ("clasificar vinos a partir de medidas", "asignar clientes a segmentos"),
    ),
    "forecasting": (
        ("prévoir la demande d'électricité", "prévoir les ventes de la semaine prochaine"),
        ("pronosticar la demanda eléctrica", "pronosticar las ventas de la próxima semana"),
    ),
    "series_classes": (
        ("classer des battements de coeur ECG", "reconnaître des activités par accéléromètre"),
        ("clasificar latidos de ECG", "reconocer actividades con acelerómetro"),
    ),
    "audio": (
        ("reconnaître des chants d'oiseaux", "classer des genres musicaux par extrait audio"),
        ("reconocer cantos de aves", "clasificar géneros musicales por audio"),
    ),
    "speech": (
        ("transcrire la parole en texte", "transcrire des réunions"),
        ("transcribir voz a texto", "transcribir reuniones"),
    ),
    "recommendation": (
        ("recommander des films", "recommander des livres aux lecteurs"),
        ("recomendar películas", "recomendar libros a lectores"),
    ),
    "anomaly": (
        ("détecter des anomalies dans des capteurs", "trouver des paiements anormaux"),
        ("detectar anomalías en sensores", "encontrar pagos anormales"),
    ),
    "agent": (
        ("entraîner un agent à jouer à Snake", "apprendre à équilibrer un pendule par renforcement"),
        ("entrenar un agente para jugar a Snake", "aprender a equilibrar un péndulo por refuerzo"),
    ),
    "graph": (
        ("classer les noeuds d'un graphe", "classer les articles d'un graphe de citations"),
        ("clasificar los nodos de un grafo", "clasificar artículos en un grafo de citas"),
    ),
}
FRENCH_FRAMES = (
    "{}",
    "Je voudrais {}",
    "Entraîner un réseau de neurones pour {}",
    "Comment {} ?",
    "Un modèle Keras pour {}",
)
SPANISH_FRAMES = (
    "{}",
    "Quiero {}",
    "Entrenar una red neuronal para {}",
    "¿Cómo puedo {}?",
    "Un modelo de Keras para {}",
)

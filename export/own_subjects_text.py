"""English subjects of our own requirements: texts."""

from export.own_phrases import Subjects, phrases

TEXT_SUBJECTS: Subjects = {
    "text_binary": phrases(
        """movie reviews|hotel reviews|tweets|product reviews|app reviews|restaurant reviews|comments|book
        reviews|customer feedback|airline tweets|game reviews|employee feedback|song comments|survey
        answers|youtube comments|election tweets|patient reviews|course feedback""",
        """{} sentiment|sentiment of {}|{} positive or negative|sentiment analysis {}|{} good or bad|
        classify {}|{} mood|opinion in {}""",
        """classify {} as positive or negative|predict the sentiment of {}|tell good from bad {}|find out
        whether {} are happy or angry|measure the mood in {}|do sentiment analysis on {}""",
    ),
    "text_flags": phrases(
        """spam|fake news|hate speech|toxic comments|sarcasm|phishing mails|clickbait|cyberbullying|
        duplicate questions|suicidal posts|propaganda|plagiarised texts|insults|irony|scam messages|bot
        tweets|machine-written essays|rumours|disaster tweets|legal risks in contracts|fraudulent job ads|
        adverts|urgent tickets|misogyny|swearing""",
        """{} filter|{} detection|{} detector|detect {}|find {}|{} text classifier|is it {}|block {}|{} or
        not|flag {}""",
        """detect {}|find {} among messages|filter out {}|recognise {} by their words|flag {} in a forum|
        decide whether a text counts as {}""",
    ),
    "text_classes": phrases(
        """news topics|email departments|support tickets|job ads|song genres from lyrics|book genres|
        user intents|emotions in texts|languages|legal documents|medical reports|patent classes|
        product descriptions|complaints|research abstracts|recipes|authors|court decisions|questions|
        chat messages|invoices|bug reports|dialects|movie plots|poem moods|tweets by topic|reviews by
        stars|hashtags|cv documents|library books|bank transactions texts""",
        """{}|classify {}|{} classification|{} text classifier|sort {}|{} from text|text categories {}|
        label {}|tag {} by topic|route {}""",
        """classify {} by their text|sort {} into topics|assign {} to categories|recognise {} in written
        text|label texts with {}|route {} to the right team|group texts into {}""",
    ),
    "text_generation": phrases(
        """names|poems|song lyrics|jokes|recipes|headlines|novels|haiku|tweets|fairy tales|product
        names|band names|baby names|limericks|speeches|quotes|horoscopes|python code|chat replies|
        dialogues|rap verses|sonnets|fantasy place names|slogans|love letters|scripts|blog posts|
        dinosaur names|town names|folk melodies as text|fortune cookies|riddles""",
        """{} generator|generate {}|write {}|{} writer|new {}|invent {}|{} char rnn|language model {}|
        make up {}|{} text generation|lstm {}""",
        """generate {}|write new {}|invent {} letter by letter|train a language model on {}|continue {} from
        a few words|compose {} word after word|learn the style of {} and write more of them""",
    ),
    "translation": phrases(
        """english to german|english to french|german to english|spanish to english|french to english|
        english to italian|english to hindi|chinese to english|english to japanese|russian to english|
        portuguese to english|english to arabic|dutch to german|latin to english|english to turkish|
        polish to german|english to swahili|korean to english|greek to english|english to spanish|old
        english to modern english|slang to standard english|swedish to english|dialect to standard german""",
        """{}|{} translation|translate {}|{} translator|{} nmt|machine translation {}|seq2seq {}|
        translator {}""",
        """translate {}|translate sentences from {}|build a machine translation system, {}|turn short
        sentences from {}|train an encoder and decoder with attention, {}|neural machine translation, {}""",
    ),
    "summaries": phrases(
        """news articles|research papers|meeting notes|long emails|legal texts|product reviews|books|chat
        logs|podcast transcripts|patient records|court rulings|blog posts|reports|interviews|patents|
        wikipedia pages|minutes|stories|lectures|tickets|dialogues|annual reports|press releases""",
        """summarize {}|{} summary|{} summarization|shorten {}|{} tldr|headline for {}|sum up {}|short
        version of {}|abstract of {}|condense {}|headline generator {}""",
        """summarise {}|write a short version of {}|shorten {} to two sentences|write headlines for {}|
        boil {} down to the main points|condense {} automatically|generate abstracts of {}""",
    ),
    "answering": phrases(
        """wikipedia|manuals|contracts|medical papers|product pages|our handbook|faqs|news|school books|
        recipes|laws|history texts|bible passages|technical documents|company policies|tax guides|
        biology texts|novels|reports|stories|encyclopedia articles|help pages""",
        """{} question answering|qa {}|answer questions {}|{} qa system|questions about {}|ask {}|answers from
        {}|reading comprehension {}""",
        """answer questions about {}|find the answer to a question in {}|build a QA system over {}|mark the
        span in {} that answers a question|look up answers in {}|read {} and answer what people ask""",
    ),
    "tagging": phrases(
        """names|people and places|drugs and doses|companies|dates and amounts|part of speech|gene names|
        addresses|product names|legal references|skills in cvs|chemical names|locations|ingredients|
        street names|disease names|nouns and verbs|song titles|money amounts|keywords|politicians|
        phone numbers|quantities|parties in contracts|punctuation marks""",
        """ner {}|{} tagging|tag {}|{} entity recognition|extract {}|{} ner|token labels {}|{} word tagger|
        named entities {}|label words {}""",
        """tag {} in sentences|recognise {} as named entities|mark every word that belongs to {}|extract {}
        from running text|label each token for {}|find {} in texts word by word""",
    ),
}
